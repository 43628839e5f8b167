//! A service on loopback that takes orders, as the guest `orders` places them. It counts how often it applies each, and
//! loses answers as a test says.
//!
//! Each connection carries one request, but for [`Fate::Kept`]. A question is answered once the fate of all orders is decided whose connections
//! came before: what was on its way when its sender was cut off has then come.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What becomes of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Applied and answered.
    Answered,
    /// As `Answered`, on a connection that is kept for further orders. For many of them.
    Kept,
    /// Answered with this status, and not applied.
    Refused(u16),
    /// Applied, and the connection is closed without an answer.
    AnswerLost,
    /// The connection is closed, and the order is not applied.
    Lost,
    /// Applied, and never answered.
    Hangs,
    /// Never answered, and not applied.
    Stuck,
    /// Never answered, and applied at [`Orders::apply_late`].
    Late,
    /// Applied before the body has come, and never answered.
    Eager,
}

/// A running service, which ends with this value.
pub struct Orders {
    /// Where it listens.
    pub address: SocketAddr,
    book: Arc<Mutex<Book>>,
    /// Connections whose request has not come whole.
    undecided: watch::Sender<usize>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Book {
    /// What becomes of the next orders; of the others the last.
    fates: VecDeque<Fate>,
    /// How often each order was applied.
    applied: BTreeMap<String, u32>,
    /// Orders that are applied later, with their idempotency keys.
    late: Vec<(String, Option<String>)>,
    /// Whether their time has come.
    is_late: bool,
    /// Idempotency keys of orders that were applied.
    keys: BTreeSet<String>,
    /// Orders that came, whatever became of them.
    came: u32,
    /// Questions that came.
    asked: u32,
}

impl Book {
    fn fate(&mut self) -> Fate {
        self.came += 1;
        match self.fates.len() {
            0 => Fate::Answered,
            1 => self.fates[0],
            _ => self.fates.pop_front().unwrap_or(Fate::Answered),
        }
    }

    /// Takes an order whose fate is [`Fate::Kept`].
    fn keep(&mut self, order: &Head) {
        self.fate();
        self.apply(&order.id, order.key.as_deref());
    }

    fn apply_late(&mut self) {
        if self.is_late {
            for (id, key) in std::mem::take(&mut self.late) {
                self.apply(&id, key.as_deref());
            }
        }
    }

    fn apply(&mut self, id: &str, key: Option<&str>) {
        // A key that was seen is that of the same order.
        if key.is_none_or(|key| self.keys.insert(key.to_owned())) {
            *self.applied.entry(id.to_owned()).or_default() += 1;
        }
    }
}

impl Orders {
    /// Starts it with the fates of the orders to come; the last one is that of all further orders.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(fates: &[Fate]) -> anyhow::Result<Orders> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let book = Arc::new(Mutex::new(Book { fates: fates.iter().copied().collect(), ..Book::default() }));
        let (shared, undecided) = (book.clone(), watch::Sender::new(0));
        let counted = undecided.clone();
        let task = tokio::spawn(async move {
            // Dropped with this task, and with it all connections.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.send_modify(|count| *count += 1);
                connections.spawn(serve(stream, shared.clone(), Undecided(counted.clone())));
            }
        });
        Ok(Orders { address, book, undecided, task })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    /// The URL of the service.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Applies the orders whose fate is [`Fate::Late`], also those that are still on their way.
    pub fn apply_late(&self) {
        let mut book = self.book();
        book.is_late = true;
        book.apply_late();
    }

    /// Waits until the fate of all orders is decided that were sent until now.
    ///
    /// # Errors
    /// When the service has ended.
    pub async fn decided(&self) -> anyhow::Result<()> {
        // Accepted after all connections that came before it.
        drop(TcpStream::connect(self.address).await?);
        let mut undecided = self.undecided.subscribe();
        loop {
            if *undecided.borrow_and_update() == 0 {
                return Ok(());
            }
            undecided.changed().await?;
        }
    }

    /// How often an order was applied.
    pub fn applied(&self, id: &str) -> u32 {
        self.book().applied.get(id).copied().unwrap_or_default()
    }

    /// The most often that any order was applied, and the number of orders that were.
    pub fn most_applied(&self) -> (u32, usize) {
        let book = self.book();
        (book.applied.values().copied().max().unwrap_or_default(), book.applied.len())
    }

    /// Orders that came, and questions that came.
    pub fn came(&self) -> (u32, u32) {
        let book = self.book();
        (book.came, book.asked)
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection whose request has not come whole. Dropped once it has, or the connection has ended.
struct Undecided(watch::Sender<usize>);

impl Drop for Undecided {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// A request without its body.
struct Head {
    is_question: bool,
    id: String,
    key: Option<String>,
    has_body: bool,
}

impl Head {
    fn read(text: &str) -> Head {
        let (line, headers) = text.split_once("\r\n").unwrap_or((text, ""));
        let header = |name: &str| {
            let mut lines = headers.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        let id = line.split(' ').nth(1).and_then(|path| path.strip_prefix("/orders/")).unwrap_or_default();
        Head {
            is_question: line.starts_with("GET "),
            id: id.to_owned(),
            key: header("idempotency-key"),
            has_body: header("transfer-encoding").is_some(),
        }
    }
}

async fn serve(mut stream: TcpStream, book: Arc<Mutex<Book>>, undecided: Undecided) -> std::io::Result<()> {
    let mut read = Vec::new();
    while let Some(end) = until(&mut stream, &mut read, b"\r\n\r\n").await? {
        let head = Head::read(&String::from_utf8_lossy(&read[..end]));
        read.drain(..end);
        if lock(&book).fates.front() != Some(&Fate::Kept) {
            return decide(stream, read, head, &book, undecided).await;
        }
        lock(&book).keep(&head);
        answer(&mut stream, 201, "keep-alive").await?;
    }
    Ok(())
}

/// Serves the only request of a connection.
async fn decide(
    mut stream: TcpStream,
    mut read: Vec<u8>,
    Head { is_question, id, key, has_body }: Head,
    book: &Mutex<Book>,
    undecided: Undecided,
) -> std::io::Result<()> {
    if is_question {
        return tell(&mut stream, book, undecided, &id).await;
    }
    let fate = lock(book).fate();
    // Without its body the order has not come.
    if fate != Fate::Eager && has_body && until(&mut stream, &mut read, b"0\r\n\r\n").await?.is_none() {
        return Ok(());
    }
    match fate {
        Fate::Answered | Fate::Kept | Fate::AnswerLost | Fate::Hangs | Fate::Eager => {
            lock(book).apply(&id, key.as_deref());
        }
        Fate::Late => lock(book).late.push((id, key)),
        Fate::Refused(_) | Fate::Lost | Fate::Stuck => {}
    }
    drop(undecided);
    match fate {
        Fate::Answered | Fate::Kept => answer(&mut stream, 201, "close").await,
        Fate::Refused(status) => answer(&mut stream, status, "close").await,
        Fate::AnswerLost | Fate::Lost => Ok(()),
        Fate::Hangs | Fate::Eager | Fate::Stuck | Fate::Late => silent(&mut stream).await,
    }
}

/// Says nothing until the other side gives up.
async fn silent(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// Answers whether an order was applied.
async fn tell(
    stream: &mut TcpStream,
    book: &Mutex<Book>,
    undecided: Undecided,
    id: &str,
) -> std::io::Result<()> {
    let mut others = undecided.0.subscribe();
    drop(undecided);
    while *others.borrow_and_update() > 0 {
        others.changed().await.map_err(std::io::Error::other)?;
    }
    let status = {
        let mut book = lock(book);
        book.asked += 1;
        book.apply_late();
        if book.applied.contains_key(id) { 200 } else { 404 }
    };
    answer(stream, status, "close").await
}

async fn answer(stream: &mut TcpStream, status: u16, connection: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: {connection}\r\n\r\n");
    stream.write_all(head.as_bytes()).await
}

/// Reads until these bytes have come. Returns where they end, or none if the connection ends before.
async fn until(stream: &mut TcpStream, read: &mut Vec<u8>, mark: &[u8]) -> std::io::Result<Option<usize>> {
    loop {
        if let Some(at) = read.windows(mark.len()).position(|bytes| bytes == mark) {
            return Ok(Some(at + mark.len()));
        }
        if stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
}
