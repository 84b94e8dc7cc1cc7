//! Lists, bytes and texts of a frame with their bounds, for `#[cbor(with = "…")]`.
//!
//! Decoding checks the bound on the header, before memory is taken; encoding checks the same bound, so
//! a sender learns it first. Not here: the bound of the whole frame ([`super::codec`]).

use minicbor::{decode, encode};

fn too_long<W>(what: &str, max: usize) -> encode::Error<W> {
    encode::Error::message(format!("{what} is longer than {max}"))
}

fn refused(d: &decode::Decoder<'_>, what: &str, max: usize) -> decode::Error {
    decode::Error::message(format!("{what} is longer than {max}")).at(d.position())
}

macro_rules! lists {
    ($( $name:ident = $max:expr; )*) => { $(
        pub mod $name {
            use minicbor::decode::Error as Undecodable;
            use minicbor::encode::{Error as Unencodable, Write};
            use minicbor::{Decode, Decoder, Encode, Encoder};

            pub fn encode<C, T: Encode<C>, W: Write>(
                list: &[T],
                e: &mut Encoder<W>,
                ctx: &mut C,
            ) -> Result<(), Unencodable<W::Error>> {
                if list.len() > $max {
                    return Err(super::too_long(stringify!($name), $max));
                }
                e.array(list.len() as u64)?;
                list.iter().try_for_each(|item| item.encode(e, ctx))
            }

            pub fn decode<'b, C, T: Decode<'b, C>>(
                d: &mut Decoder<'b>,
                ctx: &mut C,
            ) -> Result<Vec<T>, Undecodable> {
                let len = d.array()?.filter(|len| *len <= $max as u64);
                let len = len.ok_or_else(|| super::refused(d, stringify!($name), $max))?;
                // Memory grows with what is really there, never with what the header claims.
                (0..len).map(|_| T::decode(d, ctx)).collect::<Result<_, _>>()
            }
        }
    )* };
}

macro_rules! byte_strings {
    ($( $name:ident = $max:expr; )*) => { $(
        pub mod $name {
            use minicbor::decode::Error as Undecodable;
            use minicbor::encode::{Error as Unencodable, Write};
            use minicbor::{Decoder, Encoder};

            pub fn encode<C, W: Write>(
                bytes: &[u8],
                e: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), Unencodable<W::Error>> {
                if bytes.len() > $max {
                    return Err(super::too_long(stringify!($name), $max));
                }
                e.bytes(bytes)?.ok()
            }

            pub fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Vec<u8>, Undecodable> {
                let bytes = d.bytes()?;
                if bytes.len() > $max {
                    return Err(super::refused(d, stringify!($name), $max));
                }
                Ok(bytes.to_vec())
            }
        }
    )* };
}

lists! {
    changes = crate::limits::PUSH_CHANGES_MAX;
    feed_items = crate::limits::FEED_ITEMS_MAX;
    inventory = crate::limits::INVENTORY_MAX;
}

byte_strings! {
    snapshot = crate::limits::DOCUMENT_BYTES_MAX;
    policy = crate::limits::POLICY_BYTES_MAX;
    receipt = crate::limits::FACT_BYTES_MAX;
    blob_part = crate::limits::BLOB_PART_BYTES_MAX;
}

/// Text of at most [`crate::limits::TEXT_CHARS_MAX`] characters.
pub mod text {
    use crate::limits::TEXT_CHARS_MAX;
    use minicbor::decode::Error as Undecodable;
    use minicbor::encode::{Error as Unencodable, Write};
    use minicbor::{Decoder, Encoder};

    fn fits(text: &str) -> bool {
        // A character is at most four bytes: most texts need no counting.
        text.len() <= TEXT_CHARS_MAX || text.chars().take(TEXT_CHARS_MAX + 1).count() <= TEXT_CHARS_MAX
    }

    pub fn encode<C, W: Write>(
        text: &str,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), Unencodable<W::Error>> {
        if !fits(text) {
            return Err(super::too_long("text", TEXT_CHARS_MAX));
        }
        e.str(text)?.ok()
    }

    pub fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<String, Undecodable> {
        let text = d.str()?;
        if !fits(text) {
            return Err(super::refused(d, "text", TEXT_CHARS_MAX));
        }
        Ok(text.to_owned())
    }
}
