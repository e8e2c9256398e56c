//! What a backend is to the core: a [`Dialect`], pure, and a [`FarEnd`], which does the talking.
//!
//! A topology object becomes one or several *rows*, keyed by the object and a part. Rows refer to each
//! other by key, and to what only the far end can give (an id, a claimed address) through [`Resolve`].
//! The planner orders, waits, retries and remembers; a dialect only translates, a far end only sends,
//! reads and classifies answers. A far end retries nothing by itself.

use std::fmt::{self, Debug, Display};
use std::future::Future;
use std::hash::Hash;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use serde::Serialize;

use crate::code::{Code, Disposition};
use crate::digest::Digest;
use crate::time::Time;
use crate::topology::{Kind, Object, ObjectKey};

/// The key of a row: which object, and which part of it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey<P> {
    /// The object.
    pub object: ObjectKey,
    /// The part.
    pub part: P,
}

impl<P> RowKey<P> {
    /// The key of this part of this object.
    pub fn new(object: ObjectKey, part: P) -> RowKey<P> {
        RowKey { object, part }
    }
}

impl<P: Display> Display for RowKey<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.object, self.part)
    }
}

impl<P: Debug> Debug for RowKey<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{:?}", self.object, self.part)
    }
}

/// What must be true of another row before this one can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref<P> {
    /// The row.
    pub key: RowKey<P>,
    /// Besides standing, what the far end must have said of it.
    pub needs: Needs,
}

/// What a reference needs of its referent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Needs {
    /// That it stands (its handle is known).
    Handle,
    /// Its [`Attributes::cidr`].
    Cidr,
    /// Its [`Attributes::address`].
    Address,
}

/// What the far end alone can say of a row and the core acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// A subnet's network.
    pub cidr: Option<Ipv4Net>,
    /// A claimed address; a port's own address.
    pub address: Option<Ipv4Addr>,
    /// A port's VLAN.
    pub vlan: Option<u16>,
}

/// A row as the far end has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen<D: Dialect> {
    /// The far end's name for it.
    pub handle: D::Handle,
    /// Digest of the fields this product manages, comparable with [`Dialect::digest`].
    pub digest: Digest,
    /// The rows it refers to, by the far end's names; names that are not ours are ignored.
    pub refs: Box<[D::Handle]>,
    /// What the core acts on.
    pub attributes: Attributes,
}

/// Looks up what the far end has said of other rows.
pub trait Resolve<D: Dialect> {
    /// The handle of a row that stands.
    fn handle(&self, key: &RowKey<D::Part>) -> Option<&D::Handle>;
    /// The attributes of a row that stands.
    fn attributes(&self, key: &RowKey<D::Part>) -> Option<&Attributes>;
}

/// Why something can't be written, in a word the far end or the dialect gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The guide's code.
    pub code: Code,
    /// What exactly, naming the thing and the far end's own words and numbers.
    pub message: Arc<str>,
    /// Whether and when it is worth another try.
    pub disposition: Disposition,
}

impl Failure {
    /// A failure with the code's own disposition.
    pub fn new(code: Code, message: impl Into<Arc<str>>) -> Failure {
        Failure {
            code,
            message: message.into(),
            disposition: code.disposition(),
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.code.name(), self.message)
    }
}

/// How one row is brought from what is seen to what is wanted.
#[derive(Clone, Debug)]
pub enum Change<D: Dialect> {
    /// With this operation.
    Op(D::Op),
    /// The far end can't change this in place: remove it, then make it again. Waits until nothing
    /// refers to it, so it is no way to change what others hang on.
    Replace,
    /// Not at all.
    Refused(Failure),
}

/// The rows of an object, or why it can't be written.
pub type Rendered<D> = Result<Vec<(<D as Dialect>::Part, <D as Dialect>::Row)>, Failure>;

/// The pure half of a backend.
pub trait Dialect: Sized + Clone + Debug {
    /// Which part of an object a row is.
    type Part: Copy + Ord + Hash + Display + Debug + Send + Sync + 'static;
    /// What a row must be, with references by key.
    type Row: Clone + Debug + Send;
    /// The far end's name for a row.
    type Handle: Clone + Eq + Hash + Debug + Send + Sync;
    /// One operation, ready to be sent.
    type Op: Clone + Debug + Send + Sync;
    /// One list of the far end's that can be paged through.
    type Collection: Copy + Eq + Hash + Debug + Send + Sync;
    /// Where a paged listing goes on.
    type Cursor: Clone + Debug + Send + Sync;

    /// The lists whose sweep shows everything that bears this cluster's marks.
    fn collections(&self) -> Vec<Self::Collection>;

    /// The list that a row is part of, if one shows it.
    fn collection(&self, key: &RowKey<Self::Part>) -> Option<Self::Collection>;

    /// The rows of an object. An object beyond the far end's limits is split, or refused with a code,
    /// here, before anything is sent.
    fn render(&self, object: &Object) -> Rendered<Self>;

    /// What must stand before this row is written, and must stay while it stands.
    fn refs(&self, row: &Self::Row) -> Vec<Ref<Self::Part>>;

    /// A digest of the row with its references as keys; differs whenever the row does.
    fn fingerprint(&self, row: &Self::Row) -> Digest;

    /// The digest of the row with its references resolved, comparable with [`Seen::digest`];
    /// `None` while something it refers to is unknown.
    fn digest(&self, row: &Self::Row, resolve: &dyn Resolve<Self>) -> Option<Digest>;

    /// Rows made by others are only looked for, never written.
    fn looked_for(&self, key: &RowKey<Self::Part>) -> bool;

    /// Whether groups' members are rows, or follow from marks on ports.
    fn members_are_rows(&self) -> bool;

    /// Operations of one lane never overlap (a section's revision).
    fn lane(&self, key: &RowKey<Self::Part>) -> Option<ObjectKey>;

    /// Whether `key` can be written in one batch with `on`, which it refers to and which is being made
    /// in that batch.
    fn rides(&self, key: &RowKey<Self::Part>, on: &RowKey<Self::Part>) -> bool;

    /// The operation that makes or changes a row.
    fn ensure(
        &self,
        key: &RowKey<Self::Part>,
        row: &Self::Row,
        seen: Option<&Seen<Self>>,
        resolve: &dyn Resolve<Self>,
    ) -> Change<Self>;

    /// The operation that removes a row.
    fn retire(&self, key: &RowKey<Self::Part>, seen: &Seen<Self>) -> Self::Op;

    /// Splits ready steps into batches that the far end takes in one request each. The first step is
    /// the one the planner chose; the others ride on it or share its lane. Order is kept.
    fn batch(&self, ready: Vec<Step<Self>>) -> Vec<Batch<Self>>;

    /// At most how many steps are worth gathering into one batch.
    fn batch_room(&self, kind: Kind) -> usize;
}

/// Names a step; unique in an engine's life, also across leaderships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct StepId(pub u64);

/// Whether a step makes or removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Verb {
    /// Make, or change.
    Ensure,
    /// Remove.
    Retire,
}

/// One row's operation.
#[derive(Clone, Debug)]
pub struct Step<D: Dialect> {
    /// Its name.
    pub id: StepId,
    /// The row.
    pub key: RowKey<D::Part>,
    /// What it does.
    pub verb: Verb,
    /// What is sent.
    pub op: D::Op,
}

/// Steps that go in one request.
#[derive(Clone, Debug)]
pub struct Batch<D: Dialect> {
    /// The steps, in the order in which they take effect.
    pub steps: Vec<Step<D>>,
}

/// What became of a step.
#[derive(Clone, Debug)]
pub enum Outcome<D: Dialect> {
    /// Written; the row now is this.
    Done(Seen<D>),
    /// Removed, or found gone.
    Gone,
    /// Refused by the far end.
    Refused(Failure),
    /// It changed under us: read, then decide.
    Stale,
    /// It may have been done: the answer was lost.
    Uncertain,
    /// Certainly not done, and the far end as a whole is at fault (silent, overloaded).
    NotSent(Failure),
}

/// What is to be read.
#[derive(Clone, Debug)]
pub enum ReadRequest<D: Dialect> {
    /// A page of a list.
    Sweep(D::Collection, Option<D::Cursor>),
    /// Single rows, by id or by a narrow filter. Answers absence with certainty.
    Rows(Vec<Asked<D>>),
}

/// A row that is asked for by itself.
#[derive(Clone, Debug)]
pub struct Asked<D: Dialect> {
    /// Which.
    pub key: RowKey<D::Part>,
    /// The far end's name for it, where it is known and not in doubt.
    pub handle: Option<D::Handle>,
    /// The rows it refers to that stand: where to look for what bears no marks of its own.
    pub refs: Vec<(RowKey<D::Part>, D::Handle)>,
}

/// What was read.
#[derive(Clone, Debug)]
pub enum ReadOutcome<D: Dialect> {
    /// Part of the answer.
    Chunk {
        /// Rows that bear our marks, or that stand inside rows that do.
        items: Vec<(RowKey<D::Part>, Seen<D>)>,
        /// Rows asked for by key that are certainly not there.
        absent: Vec<RowKey<D::Part>>,
        /// Rows asked for that can't be told apart or are unusable.
        refused: Vec<(RowKey<D::Part>, Failure)>,
        /// How a sweep goes on.
        next: Option<D::Cursor>,
        /// At the end of a sweep: whether what it did not show is certainly absent (it was one
        /// answer, so one moment).
        whole: bool,
    },
    /// The far end did not answer.
    Failed(Failure),
}

/// Until when, and as which leader, writing is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Fence {
    /// Which leadership; rises.
    pub epoch: u64,
    /// No request starts after this.
    pub deadline: Time,
}

/// The half of a backend that talks.
pub trait FarEnd<D: Dialect>: Send + Sync {
    /// Sends one batch. Checks the fence right before the first byte; what is left of it is the
    /// request's own time-out. Answers for every step.
    fn write(&self, batch: Batch<D>, fence: Fence) -> impl Future<Output = Vec<(StepId, Outcome<D>)>> + Send;

    /// Reads one chunk.
    fn read(&self, request: ReadRequest<D>) -> impl Future<Output = ReadOutcome<D>> + Send;
}
