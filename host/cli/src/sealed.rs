//! Files in the format of age: <https://age-encryption.org/v1>.
//!
//! In the program and not in the library, because the crate has many dependencies. Identities come from files; age's
//! plugins and passphrases, which start programs or ask on a terminal, are left out.

use std::io::{BufReader, Read as _, Write as _};
use std::path::Path;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{DecryptError, Decryptor, Encryptor, Identity, IdentityFile, NoCallbacks, Recipient};
use airlock::secret::{Seal, Unseal};
use zeroize::Zeroizing;

use super::print::Message;

/// Most bytes of a decrypted cassette: far above the default of `journal.cassette_bytes_max`.
const CASSETTE_BYTES_MAX: u64 = 256 << 20;

/// Most bytes of a file of identities: far above what one needs.
const IDENTITY_BYTES_MAX: u64 = 64 << 10;

/// Most bytes of a decrypted file. The longest accepted value is far shorter.
const BYTES_MAX: u64 = 64 << 10;

/// What is wrong with a file of identities in which there is none.
const NO_KEY: &str = "the file of the identity has no key: `age-keygen -o FILE` makes one";

/// The reader of age files.
pub(super) struct Age;

impl Unseal for Age {
    fn unseal(&self, sealed: &[u8], identities: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        decrypted(sealed, identities, BYTES_MAX)
    }
}

impl Seal for Age {
    fn seal(&self, recipient: &str, value: &[u8]) -> Result<String, String> {
        let recipient = recipient.parse::<age::x25519::Recipient>().map_err(str::to_owned)?;
        let sealed = encrypted(value, std::iter::once(&recipient as &dyn Recipient))?;
        String::from_utf8(sealed).map_err(|err| err.to_string())
    }
}

/// Reads a file of identities.
///
/// # Errors
/// Says which file cannot be read.
pub(super) fn identity(path: &Path) -> Result<Vec<u8>, Message> {
    let unread = |err| Message(format!("the identity `{}` cannot be read: {err}", path.display()));
    airlock::file::read(path, IDENTITY_BYTES_MAX).map_err(unread)
}

/// Decrypts a cassette, or a record with confidential fields, with the identities of a file.
///
/// # Errors
/// Says why it cannot be decrypted, without any of its content.
pub(super) fn open(sealed: &[u8], identities: &[u8]) -> Result<String, String> {
    let opened = decrypted(sealed, identities, CASSETTE_BYTES_MAX)?;
    String::from_utf8(opened.to_vec()).map_err(|err| err.to_string())
}

/// Decrypts a cassette with the identities of a file, if one was named.
///
/// # Errors
/// As [`open`], and when none was named.
pub(super) fn open_with(sealed: &str, identities: Option<&[u8]>) -> Result<String, String> {
    match identities {
        Some(identities) => open(sealed.as_bytes(), identities),
        None => Err("give the identity of `journal.recipient` by `--identity`".to_owned()),
    }
}

fn decrypted(sealed: &[u8], identities: &[u8], bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let identities = identity_file(identities)?.into_identities().map_err(|err| err.to_string())?;
    if identities.is_empty() {
        return Err(NO_KEY.to_owned());
    }
    let decryptor = Decryptor::new_buffered(BufReader::new(ArmoredReader::new(sealed)));
    let decryptor = decryptor.map_err(|err| unopened(&err))?;
    if decryptor.is_scrypt() {
        return Err("it is encrypted with a passphrase; encrypt it to the key of the identity".into());
    }
    let identities = identities.iter().map(|identity| &**identity as &dyn Identity);
    let opened = decryptor.decrypt(identities).map_err(|err| unopened(&err))?;
    let mut value = Zeroizing::new(Vec::new());
    opened.take(bytes_max).read_to_end(&mut value).map_err(|err| err.to_string())?;
    Ok(value)
}

/// Encrypts a value to each identity of a file, as text.
///
/// # Errors
/// When the file holds no identity.
pub(super) fn seal(value: &[u8], identities: &[u8]) -> Result<Vec<u8>, String> {
    let recipients = identity_file(identities)?.to_recipients().map_err(|err| err.to_string())?;
    if recipients.is_empty() {
        return Err(NO_KEY.to_owned());
    }
    encrypted(value, recipients.iter().map(|recipient| &**recipient as &dyn Recipient))
}

fn encrypted<'r>(
    value: &[u8],
    recipients: impl Iterator<Item = &'r dyn Recipient>,
) -> Result<Vec<u8>, String> {
    let encryptor = Encryptor::with_recipients(recipients).map_err(|err| err.to_string())?;
    let sealed = || {
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(value)?;
        writer.finish()?.finish()
    };
    sealed().map_err(|err: std::io::Error| err.to_string())
}

/// Why a file cannot be opened. Not in age's own words: it reads them from files, which a confined process cannot, and of
/// the head of a file it says no more than that there are too few bytes.
fn unopened(error: &DecryptError) -> String {
    match error {
        DecryptError::Io(_) | DecryptError::InvalidHeader => "it is not an age file, or a damaged one",
        DecryptError::InvalidMac | DecryptError::DecryptionFailed => "it is damaged",
        DecryptError::NoMatchingKeys | DecryptError::KeyDecryptionFailed => {
            "no identity of the file opens it: it is encrypted to another key"
        }
        DecryptError::ExcessiveWork { .. } => "it is encrypted with a passphrase",
        DecryptError::UnknownFormat => "its form of age is newer than this program",
        _ => "it cannot be decrypted",
    }
    .to_owned()
}

fn identity_file(bytes: &[u8]) -> Result<IdentityFile<NoCallbacks>, String> {
    // Its errors name lines and never their content.
    IdentityFile::from_buffer(bytes).map_err(|err| err.to_string())
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret as _;

    use super::*;

    fn identity() -> String {
        age::x25519::Identity::generate().to_string().expose_secret().to_owned()
    }

    #[test]
    fn what_is_sealed_to_an_identity_is_opened_by_it_alone() {
        let (own, other) = (identity(), identity());
        let file = format!("# a comment\n{own}\n");
        let sealed = seal(b"s3cr3t-value", file.as_bytes()).unwrap();
        assert!(sealed.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----"));
        assert_eq!(Age.unseal(&sealed, file.as_bytes()).unwrap().as_slice(), b"s3cr3t-value");
        let both = format!("{other}\n{own}\n");
        assert_eq!(Age.unseal(&sealed, both.as_bytes()).unwrap().as_slice(), b"s3cr3t-value");
        assert!(Age.unseal(&sealed, other.as_bytes()).is_err());
        // The binary form, as `age` writes it without `-a`.
        let key = own.parse::<age::x25519::Identity>().unwrap();
        let binary = age::encrypt(&key.to_public(), b"s3cr3t-value").unwrap();
        assert_eq!(Age.unseal(&binary, own.as_bytes()).unwrap().as_slice(), b"s3cr3t-value");
    }

    #[test]
    fn a_cassette_is_sealed_to_a_public_key() {
        let key = age::x25519::Identity::generate();
        let file = format!("{}\n", key.to_string().expose_secret());
        let sealed = Age.seal(&key.to_public().to_string(), b"cassette").unwrap();
        assert_eq!(open(sealed.as_bytes(), file.as_bytes()).unwrap(), "cassette");
        assert!(open(sealed.as_bytes(), identity().as_bytes()).unwrap_err().contains("another key"));
        for wrong in ["", "age1", "ssh-ed25519 AAAA", &file] {
            let said = Age.seal(wrong.trim(), b"cassette").unwrap_err();
            assert!(!said.is_empty() && !said.contains("AGE-SECRET"), "{said}");
        }
    }

    #[test]
    fn what_cannot_be_opened_says_why_without_its_content() {
        let own = identity();
        for (sealed, identities) in
            [("s3cr3t", own.as_str()), ("s3cr3t", "s3cr3t-identity"), ("", ""), ("", &own)]
        {
            let said = Age.unseal(sealed.as_bytes(), identities.as_bytes()).unwrap_err();
            assert!(!said.is_empty() && !said.contains("s3cr3t"), "{said}");
        }
        for sealed in
            ["", "s3cr3t", "s3cr3t\nof several lines\n", "age-encryption.org/v1\n", "-----BEGIN AGE"]
        {
            let said = Age.unseal(sealed.as_bytes(), own.as_bytes()).unwrap_err();
            assert!(said.contains("not an age file"), "{sealed}: {said}");
        }
        let passphrase = age::scrypt::Recipient::new("long passphrase".to_owned().into());
        let sealed = age::encrypt(&passphrase, b"s3cr3t").unwrap();
        assert!(Age.unseal(&sealed, own.as_bytes()).unwrap_err().contains("passphrase"));
        assert!(seal(b"s3cr3t", b"").is_err());
    }
}
