"""Evidence checked by people who have nothing of ours: an evidence file, and a COSE library of others.

Usage: cose.py FILE. Every certificate must hold for the company's key, every fact for the key in its
device's certificate (COSE_Sign1, RFC 9052, EdDSA); none may hold with one byte altered.
"""

import json
import sys

import cbor2
from pycose.headers import KID
from pycose.keys import OKPKey
from pycose.messages import Sign1Message

COMPANY, FACT = b"gendan/certificate/1", b"gendan/fact/1"
COSE_SIGN1 = 18


def message(data: bytes, aad: bytes, key: bytes) -> Sign1Message:
    # Ours carry no tag: where they stand says what they are. The library reads tagged ones.
    read = Sign1Message.decode(cbor2.dumps(cbor2.CBORTag(COSE_SIGN1, cbor2.loads(data))))
    read.external_aad = aad
    read.key = OKPKey(crv="ED25519", x=key, optional_params={"KEY_OPS": ["VERIFY"]})
    return read


def holds(data: bytes, aad: bytes, key: bytes) -> bool:
    return message(data, aad, key).verify_signature()


def altered(data: bytes) -> bytes:
    payload = cbor2.loads(data)[2]
    at = data.index(payload) + len(payload) - 1
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        evidence = json.load(file)
    company = bytes.fromhex(evidence["company_key"])
    devices = {}
    for certificate in map(bytes.fromhex, evidence["certificates"]):
        assert holds(certificate, COMPANY, company), "a certificate does not hold"
        assert not holds(altered(certificate), COMPANY, company), "an altered certificate holds"
        said = cbor2.loads(message(certificate, COMPANY, company).payload)
        devices[said[1]] = said[3]
    facts = [bytes.fromhex(fact) for fact in evidence["facts"]]
    assert facts, "there is nothing to check"
    for fact in facts:
        device = message(fact, FACT, company).phdr[KID]
        assert holds(fact, FACT, devices[device]), "a fact does not hold"
        assert not holds(altered(fact), FACT, devices[device]), "an altered fact holds"
        assert not holds(fact, COMPANY, devices[device]), "a fact passes for a certificate"
        assert not holds(fact, FACT, company), "a fact holds for another key"
    print(f"{len(facts)} facts and {len(devices)} certificates hold by another library")


main(sys.argv[1])
