//! A guest that uses files in each way that the interface has, and knows nothing of Airlock.

use std::hint::black_box;

use wasi::clocks::wall_clock::Datetime;
use wasi::filesystem::preopens::get_directories;
use wasi::filesystem::types::{
    Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags, filesystem_error_code,
};
use wasi::io::streams::{OutputStream, StreamError};

wit_bindgen::generate!({ path: "wit", generate_all });
export!(Scribe);

struct Scribe;

/// What a step gave, or the code of its error.
type Done = Result<String, String>;

impl Guest for Scribe {
    fn act(steps: Vec<Step>) -> Vec<String> {
        taken(steps).into_iter().map(|done| done.unwrap_or_else(|code| code)).collect()
    }

    fn act_then_abort(steps: Vec<Step>) {
        black_box(taken(steps));
        panic!("as asked");
    }

    fn act_then_loop(steps: Vec<Step>) {
        black_box(taken(steps));
        loop {
            black_box(());
        }
    }

    fn must(steps: Vec<Step>) -> Result<Vec<String>, String> {
        taken(steps).into_iter().collect()
    }
}

fn taken(steps: Vec<Step>) -> Vec<Done> {
    let mut open: Vec<Option<Descriptor>> =
        get_directories().into_iter().map(|(folder, _)| Some(folder)).collect();
    steps.into_iter().map(|step| take(step, &mut open)).collect()
}

fn take(step: Step, open: &mut Vec<Option<Descriptor>>) -> Done {
    if let Step::Close(fd) = step {
        let place = open.get_mut(fd as usize).ok_or("no such descriptor")?;
        return place.take().map(|_| "ok".to_owned()).ok_or_else(|| "closed".to_owned());
    }
    let at = |fd: u32| open.get(fd as usize).and_then(Option::as_ref).ok_or("no such descriptor");
    match step {
        Step::Open(Opening { at: fd, path, how }) => {
            let opened = opened(at(fd)?, &path, &how).map_err(name)?;
            open.push(Some(opened));
            ok(Ok(()))
        }
        Step::Close(_) => unreachable!(),
        Step::Write(TextAt { fd, offset, text }) => shown(at(fd)?.write(text.as_bytes(), offset)),
        Step::Read(Range { fd, offset, bytes }) => {
            let (bytes, _) = at(fd)?.read(bytes, offset).map_err(name)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        Step::Flow(flow) => flowed(at(flow.fd)?, &flow),
        Step::Flood(flow) => flooded(at(flow.fd)?, &flow),
        Step::Drain(fd) => drained(at(fd)?),
        Step::Resize(Size { fd, bytes }) => ok(at(fd)?.set_size(bytes)),
        Step::Times(Time { at: Place { at: fd, path }, keep_link, seconds, nanoseconds }) => {
            let time = match seconds {
                Some(seconds) => NewTimestamp::Timestamp(Datetime { seconds, nanoseconds }),
                None => NewTimestamp::Now,
            };
            let flags = if keep_link { PathFlags::empty() } else { PathFlags::SYMLINK_FOLLOW };
            ok(at(fd)?.set_times_at(flags, &path, time, time))
        }
        Step::Touch(fd) => ok(at(fd)?.set_times(NewTimestamp::NoChange, NewTimestamp::Now)),
        Step::MakeFolder(Place { at: fd, path }) => ok(at(fd)?.create_directory_at(&path)),
        Step::RemoveFolder(Place { at: fd, path }) => ok(at(fd)?.remove_directory_at(&path)),
        Step::Remove(Place { at: fd, path }) => ok(at(fd)?.unlink_file_at(&path)),
        Step::Rename(Move { from, to }) => ok(at(from.at)?.rename_at(&from.path, at(to.at)?, &to.path)),
        Step::Link(Move { from, to }) => {
            ok(at(from.at)?.link_at(PathFlags::empty(), &from.path, at(to.at)?, &to.path))
        }
        Step::LinkTarget(Move { from, to }) => {
            ok(at(from.at)?.link_at(PathFlags::SYMLINK_FOLLOW, &from.path, at(to.at)?, &to.path))
        }
        Step::Symlink(Symlink { target, at: Place { at: fd, path } }) => {
            ok(at(fd)?.symlink_at(&target, &path))
        }
        Step::Target(Place { at: fd, path }) => at(fd)?.readlink_at(&path).map_err(name),
        Step::Stat(Place { at: fd, path }) => {
            let stat = at(fd)?.stat_at(PathFlags::SYMLINK_FOLLOW, &path).map_err(name)?;
            Ok(format!("{:?} {}", stat.type_, stat.size))
        }
        Step::List(fd) => listed(at(fd)?),
        Step::Sync(fd) => ok(at(fd)?.sync().and_then(|()| at(fd).map_or(Ok(()), Descriptor::sync_data))),
        Step::Flags(fd) => Ok(format!("{:?}", at(fd)?.get_flags().map_err(name)?)),
        Step::Await(Place { at: fd, path }) => {
            let folder = at(fd)?;
            while matches!(folder.stat_at(PathFlags::empty(), &path), Err(ErrorCode::NoEntry)) {}
            ok(Ok(()))
        }
    }
}

fn name(code: ErrorCode) -> String {
    code.name().to_owned()
}

fn ok(done: Result<(), ErrorCode>) -> Done {
    done.map(|()| "ok".to_owned()).map_err(name)
}

fn shown(done: Result<u64, ErrorCode>) -> Done {
    done.map(|count| count.to_string()).map_err(name)
}

fn opened(folder: &Descriptor, path: &str, how: &[String]) -> Result<Descriptor, ErrorCode> {
    let (mut follow, mut open, mut flags) =
        (PathFlags::SYMLINK_FOLLOW, OpenFlags::empty(), DescriptorFlags::empty());
    for word in how {
        match &**word {
            "create" => open |= OpenFlags::CREATE,
            "exclusive" => open |= OpenFlags::EXCLUSIVE,
            "truncate" => open |= OpenFlags::TRUNCATE,
            "directory" => open |= OpenFlags::DIRECTORY,
            "read" => flags |= DescriptorFlags::READ,
            "write" => flags |= DescriptorFlags::WRITE,
            "sync" => flags |= DescriptorFlags::FILE_INTEGRITY_SYNC,
            "mutate" => flags |= DescriptorFlags::MUTATE_DIRECTORY,
            "keep-link" => follow = PathFlags::empty(),
            other => panic!("{other}"),
        }
    }
    folder.open_at(follow, path, open, flags)
}

fn stream(file: &Descriptor, offset: Option<u64>) -> Result<OutputStream, ErrorCode> {
    match offset {
        Some(offset) => file.write_via_stream(offset),
        None => file.append_via_stream(),
    }
}

/// The code of what a stream failed with.
fn failed(error: &StreamError) -> String {
    match error {
        StreamError::Closed => "closed".to_owned(),
        StreamError::LastOperationFailed(error) => {
            filesystem_error_code(error).map_or_else(|| error.to_debug_string(), name)
        }
    }
}

fn flowed(file: &Descriptor, flow: &Flow) -> Done {
    let stream = stream(file, flow.offset).map_err(name)?;
    let bytes = vec![b'x'; flow.bytes as usize];
    for _ in 0..flow.times {
        // As language libraries do: as much as fits, then wait.
        let mut rest = &*bytes;
        while !rest.is_empty() {
            stream.subscribe().block();
            let fits = stream.check_write().map_err(|error| failed(&error))?;
            let (now, later) = rest.split_at(rest.len().min(usize::try_from(fits).unwrap_or(usize::MAX)));
            stream.write(now).map_err(|error| failed(&error))?;
            rest = later;
        }
        stream.blocking_flush().map_err(|error| failed(&error))?;
    }
    ok(Ok(()))
}

fn flooded(file: &Descriptor, flow: &Flow) -> Done {
    let bytes = vec![b'x'; flow.bytes as usize];
    let mut begun = Vec::new();
    for _ in 0..flow.times {
        let stream = stream(file, flow.offset).map_err(name)?;
        stream.check_write().and_then(|_| stream.write(&bytes)).map_err(|error| failed(&error))?;
        begun.push(stream);
    }
    let ended = begun.iter().filter(|stream| stream.blocking_flush().is_ok()).count();
    Ok(ended.to_string())
}

fn drained(file: &Descriptor) -> Done {
    let stream = file.read_via_stream(0).map_err(name)?;
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(bytes) => all.extend(bytes),
            Err(StreamError::Closed) => return Ok(String::from_utf8_lossy(&all).into_owned()),
            Err(error) => return Err(failed(&error)),
        }
    }
}

fn listed(folder: &Descriptor) -> Done {
    let entries = folder.read_directory().map_err(name)?;
    let mut names = Vec::new();
    while let Some(entry) = entries.read_directory_entry().map_err(name)? {
        names.push(entry.name);
    }
    names.sort();
    Ok(names.join(" "))
}
