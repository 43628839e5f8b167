"""Signatures of Airlock against verifiers and signers that others wrote: openssl, minisign, securesystemslib.

    signatures.py AIRLOCK COMPONENT openssl|minisign|securesystemslib

Exits with 0 when both sides agree, with 77 when the other side is not installed.
"""

import base64
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

AIRLOCK, COMPONENT, OTHER = sys.argv[1:4]
PAYLOAD = "application/vnd.in-toto+json"


def run(*words, code=0):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def there(program):
    if shutil.which(program) is None:
        print(f"{program} is not installed")
        sys.exit(77)


def signed_bytes(payload):
    """DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)


def side(component):
    return Path(f"{component}.intoto.jsonl")


def envelope(component):
    return json.loads(side(component).read_text())


def airlock_says(component, key, code=0, state="verified"):
    told = run(AIRLOCK, "verify", component, "--key", key, "--json", code=code)
    found = json.loads(told)["components"][0]
    assert found["state"] == state, found


def changed(component, text):
    """Another last character of the payload's end is another statement."""
    other = envelope(component)
    payload = base64.b64decode(other["payload"]).replace(b'"serial":7', text)
    other["payload"] = base64.b64encode(payload).decode()
    side(component).write_text(json.dumps(other) + "\n")


def openssl(folder, component):
    there("openssl")
    key, public = folder / "key.pem", folder / "public.pem"
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", key)
    key.chmod(0o600)
    run("openssl", "pkey", "-in", key, "-pubout", "-out", public)
    der = base64.b64encode(subprocess.check_output(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"]))
    name = f"key:{der.decode()}"
    run(AIRLOCK, "sign", component, "--key", key, "--serial", "7")
    airlock_says(component, name)
    found = envelope(component)
    payload = base64.b64decode(found["payload"])
    message, signature = folder / "message", folder / "signature"
    message.write_bytes(signed_bytes(payload))
    signature.write_bytes(base64.b64decode(found["signatures"][0]["sig"]))
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", message, "-sigfile", signature]
    run(*verify)
    message.write_bytes(signed_bytes(payload + b" "))
    run(*verify, code=1)
    # The other way: a statement that openssl signed.
    payload = payload.replace(b'"serial":7', b'"serial":8')
    message.write_bytes(signed_bytes(payload))
    run("openssl", "pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", message, "-out", signature)
    found["payload"] = base64.b64encode(payload).decode()
    found["signatures"] = [{"keyid": "", "sig": base64.b64encode(signature.read_bytes()).decode()}]
    side(component).write_text(json.dumps(found) + "\n")
    airlock_says(component, name)
    # A key that Airlock made is one that openssl reads.
    made = folder / "made.pem"
    public_text = run(AIRLOCK, "sign", "--new-key", made).strip()
    der = subprocess.check_output(["openssl", "pkey", "-in", made, "-pubout", "-outform", "DER"])
    assert public_text == "key:" + base64.b64encode(der[-32:]).decode()


def minisign(folder, component):
    there("minisign")
    key, public = folder / "minisign.key", folder / "minisign.pub"
    run("minisign", "-G", "-W", "-p", public, "-s", key)
    name = "minisign:" + public.read_text().splitlines()[1]
    # Both forms: of a digest, which is the default, and of the file.
    for form in [[], ["-l"]]:
        run("minisign", "-S", "-W", *form, "-s", key, "-m", component)
        airlock_says(component, name)
    whole = component.read_bytes()
    component.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    run("minisign", "-V", "-p", public, "-m", component, code=1)
    airlock_says(component, name, code=1, state="failed")


def securesystemslib(folder, component):
    try:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from securesystemslib.dsse import Envelope
        from securesystemslib.exceptions import VerificationError
        from securesystemslib.signer import CryptoSigner, SSlibKey
    except ImportError as missing:
        print(missing)
        sys.exit(77)
    key = folder / "key.pem"
    name = run(AIRLOCK, "sign", "--new-key", key).strip()
    run(AIRLOCK, "sign", component, "--key", key, "--serial", "7")
    found = envelope(component)
    raw = base64.b64decode(name.removeprefix("key:")).hex()
    public = SSlibKey(found["signatures"][0]["keyid"], "ed25519", "ed25519", {"public": raw})
    Envelope.from_dict(found).verify([public], 1)
    changed(component, b'"serial":8')
    try:
        Envelope.from_dict(envelope(component)).verify([public], 1)
        raise AssertionError("a changed statement was verified")
    except VerificationError:
        pass
    airlock_says(component, name, code=1, state="failed")
    # The other way: an envelope that securesystemslib made.
    payload = base64.b64decode(found["payload"]).replace(b'"serial":7', b'"serial":9')
    theirs = Envelope(payload, PAYLOAD, {})
    theirs.sign(CryptoSigner(load_pem_private_key(key.read_bytes(), None)))
    side(component).write_text(json.dumps(theirs.to_dict()) + "\n")
    airlock_says(component, name)


with tempfile.TemporaryDirectory() as temporary:
    at = Path(temporary)
    copy = at / "component.wasm"
    shutil.copy(COMPONENT, copy)
    {"openssl": openssl, "minisign": minisign, "securesystemslib": securesystemslib}[OTHER](at, copy)
