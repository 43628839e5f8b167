//! Why something about files was not done.

use std::io;

use airlock_types::grant::Why;
use rustix::io::Errno;
use wasmtime_wasi::p2::FsError;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The grant or one of its bounds does not allow it. Noted as a denial.
    #[error("{0}")]
    Refused(ErrorCode, Why),
    /// The path leads out of the granted folder. Noted as a denial of this path, which no grant allows.
    #[error("{}", ErrorCode::NotPermitted)]
    Outside(String),
    /// The guest asked for what cannot be.
    #[error("{0}")]
    Invalid(ErrorCode),
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Errors of the system after which nothing has changed. Others, such as a disk that fails or a server that does not
/// answer, leave it open.
const CHANGED_NOTHING: [Errno; 19] = [
    Errno::ACCESS,
    Errno::BADF,
    Errno::BUSY,
    Errno::DQUOT,
    Errno::EXIST,
    Errno::FBIG,
    Errno::INVAL,
    Errno::ISDIR,
    Errno::LOOP,
    Errno::MLINK,
    Errno::NAMETOOLONG,
    Errno::NOENT,
    Errno::NOSPC,
    Errno::NOTDIR,
    Errno::NOTEMPTY,
    Errno::PERM,
    Errno::ROFS,
    Errno::TXTBSY,
    Errno::XDEV,
];

impl Fault {
    /// Outside of the granted folder, or beyond what it is granted for.
    pub(super) const NOT_GRANTED: Fault = Fault::Refused(ErrorCode::NotPermitted, Why::Never);

    /// A change where only reading is granted.
    pub(super) const READ_ONLY: Fault = Fault::Refused(ErrorCode::NotPermitted, Why::Beyond);

    /// Beyond this bound of the grant. `least` is what would suffice, where that is known.
    pub(super) fn beyond(bound: &'static str, least: Option<u64>) -> Fault {
        Fault::Refused(ErrorCode::Quota, Why::Bound(bound, least))
    }

    /// The same, for a path as the guest wrote it.
    pub(super) fn on_path(self, path: &str) -> Fault {
        if matches!(self, Fault::Refused(_, Why::Never)) { Fault::Outside(path.to_owned()) } else { self }
    }

    /// The path that leads out of the folder, if that is the fault.
    pub(super) fn outside(&self) -> Option<&str> {
        if let Fault::Outside(path) = self { Some(path) } else { None }
    }

    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Fault::Outside(_) => ErrorCode::NotPermitted,
            Fault::Refused(code, _) | Fault::Invalid(code) => *code,
            // Codes that the library does not know.
            Fault::Io(err) => match Errno::from_io_error(err) {
                Some(Errno::DQUOT) => ErrorCode::Quota,
                Some(Errno::ROFS) => ErrorCode::ReadOnly,
                Some(Errno::TXTBSY) => ErrorCode::TextFileBusy,
                Some(Errno::XDEV) => ErrorCode::CrossDevice,
                _ => ErrorCode::from(err),
            },
        }
    }

    /// Why a grant does not allow it. `None` for every other fault.
    pub(super) fn refusal(&self) -> Option<Why> {
        match self {
            Fault::Refused(_, why) => Some(*why),
            Fault::Outside(_) => Some(Why::Never),
            Fault::Invalid(_) | Fault::Io(_) => None,
        }
    }

    /// Whether it proves that nothing has changed.
    pub(super) fn changed_nothing(&self) -> bool {
        match self {
            Fault::Refused(..) | Fault::Outside(_) | Fault::Invalid(_) => true,
            Fault::Io(err) => Errno::from_io_error(err).is_some_and(|errno| CHANGED_NOTHING.contains(&errno)),
        }
    }
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Fault {
        Fault::Io(errno.into())
    }
}

impl From<Fault> for FsError {
    fn from(fault: Fault) -> FsError {
        fault.code().into()
    }
}
