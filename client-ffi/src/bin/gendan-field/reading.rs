//! What the command line's words mean: fields as KEY=VALUE, items, strokes, evidence, outcomes.
//!
//! In: texts as a person or a script gives them. Out: the wishes of the library, or an error that names
//! the field and how it is written. Not here: what a device does about them.

use std::collections::HashMap;
use std::path::Path;

use client_ffi::wishes::{Ended, EvidenceWish, ItemWish, Point, Proof, Stroke, VisitStatus};
use client_ffi::{FieldClient, FieldError};
use serde::Deserialize;

/// Evidence as it is given: words, photos, files.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default)]
pub struct Proofs {
    /// 短信原文 — a text message, word for word (may be repeated).
    #[arg(long = "text", value_name = "MSG")]
    pub text: Vec<String>,
    /// 照片 — a photo (may be repeated).
    #[arg(long = "photo", value_name = "FILE")]
    photo: Vec<String>,
    /// 文件 — any file (may be repeated).
    #[arg(long = "file", value_name = "FILE")]
    file: Vec<String>,
    /// 清单文件 — a document of a checklist (may be repeated).
    #[arg(long = "document", value_name = "NAME=FILE")]
    #[serde(default)]
    document: Vec<String>,
}

pub fn pair(text: &str) -> Result<(String, String), FieldError> {
    let (key, value) = text.split_once('=').ok_or_else(|| FieldError::invalid(text, "KEY=VALUE"))?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

pub fn pairs(texts: &[String]) -> Result<HashMap<String, String>, FieldError> {
    texts.iter().map(|text| pair(text)).collect()
}

pub fn item_of(fields: HashMap<String, String>) -> Result<ItemWish, FieldError> {
    let mut item = ItemWish { quantity: 1, ..ItemWish::default() };
    for (key, value) in fields {
        match key.as_str() {
            "product" => item.product = value,
            "model" => item.model = value,
            "material" => item.material = Some(value),
            "quantity" => item.quantity = value.parse().map_err(|e| FieldError::invalid("quantity", e))?,
            "unit_price" => item.unit_price = Some(value),
            other => {
                return Err(FieldError::invalid(other, "product, model, material, quantity, unit_price"));
            }
        }
    }
    Ok(item)
}

/// Strokes written `x,y x,y;x,y x,y`.
pub fn strokes(text: &str) -> Result<Vec<Stroke>, FieldError> {
    let number = |n: &str| n.trim().parse::<u16>().map_err(|e| FieldError::invalid("strokes", e));
    let point = |text: &str| -> Result<Point, FieldError> {
        let (x, y) = text.split_once(',').ok_or_else(|| FieldError::invalid("strokes", "x,y x,y;x,y"))?;
        Ok(Point { x: number(x)?, y: number(y)? })
    };
    let stroke =
        |text: &str| Ok(Stroke { points: text.split_whitespace().map(point).collect::<Result<_, _>>()? });
    text.split(';').map(stroke).collect()
}

pub fn media(path: &str) -> &'static str {
    let extension = Path::new(path).extension().and_then(|e| e.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}

impl Proofs {
    /// Attaches the files and gives the evidence.
    pub fn gather(&self, client: &FieldClient, doc: &str) -> Result<Vec<EvidenceWish>, FieldError> {
        let mut all: Vec<EvidenceWish> = self.text.iter().map(|text| EvidenceWish::words(text)).collect();
        let mut attach = |proof, path: &str, document| {
            let bytes = std::fs::read(path).map_err(|e| FieldError::invalid(path, e))?;
            let blob = Some(client.attach(doc.to_owned(), media(path).to_owned(), bytes)?);
            all.push(EvidenceWish { proof, text: None, blob, media: Some(media(path).to_owned()), document });
            Ok::<(), FieldError>(())
        };
        for path in &self.photo {
            attach(Proof::Photo, path, None)?;
        }
        for path in &self.file {
            attach(Proof::File, path, None)?;
        }
        for named in &self.document {
            let (name, path) = pair(named)?;
            attach(Proof::File, &path, Some(name))?;
        }
        Ok(all)
    }
}

pub fn ended(text: &str) -> Result<Ended, FieldError> {
    match text {
        "done" => Ok(Ended::Done),
        "partial" => Ok(Ended::Partial),
        "refused" => Ok(Ended::Refused),
        "failed" => Ok(Ended::Failed),
        _ => Err(FieldError::invalid("outcome", "done, partial, refused, failed")),
    }
}

pub fn visit_status(text: &str) -> Result<VisitStatus, FieldError> {
    match text.replace('-', "_").as_str() {
        "scheduled" => Ok(VisitStatus::Scheduled),
        "dispatched" => Ok(VisitStatus::Dispatched),
        "travelling" => Ok(VisitStatus::Travelling),
        "on_site" => Ok(VisitStatus::OnSite),
        "completed" => Ok(VisitStatus::Completed),
        "cannot_complete" => Ok(VisitStatus::CannotComplete),
        "cancelled" => Ok(VisitStatus::Cancelled),
        _ => Err(FieldError::invalid("status", "scheduled, dispatched, travelling, on_site, completed, …")),
    }
}

/// The only one there is, or a refusal that says how many there are.
pub fn only<T>(what: &str, mut found: Vec<T>) -> Result<T, FieldError> {
    match found.pop() {
        Some(one) if found.is_empty() => Ok(one),
        Some(_) => Err(FieldError::invalid(what, format!("{} are open: name one", found.len() + 1))),
        None => Err(FieldError::invalid(what, "none is open")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strokes_are_points_between_semicolons() {
        let drawn = strokes("1,2 3,4;5,6").expect("two strokes");
        assert_eq!(drawn.iter().map(|s| s.points.len()).collect::<Vec<_>>(), [2, 1]);
        assert!(strokes("1,2 x").is_err());
        assert!(strokes("70000,1").is_err());
    }
}
