//! Scalar functions: the declaration type, what a kernel gets, and one module for each function or tight family.

use std::any::Any;
use std::sync::Arc;

use arrow_array::ArrayRef;
use jiff::tz::TimeZone;
use millstream_types::{LogicalType, Rng};

use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) mod access;
pub mod arithmetic;
pub mod collection;
pub(crate) mod compare_rows;
pub mod comparison;
pub mod conditional;
pub(crate) mod forms;
pub mod json;
pub mod logical;
pub mod math;
pub mod regexp;
pub mod string;
pub mod temporal;

/// Section of the reference in which a function stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Group {
    Comparison,
    Logical,
    Arithmetic,
    String,
    Temporal,
    Conditional,
    Conversion,
    Collection,
    Json,
    Variant,
    Constructor,
    Grouping,
    Hash,
    Bitmap,
    Auxiliary,
}

/// When two calls with equal arguments give equal results.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Determinism {
    /// Always: may be folded while planning.
    Always,
    /// Within a query in batch mode; each record in streaming mode (CURRENT_TIMESTAMP).
    WithinQuery,
    /// Never (RAND, UUID).
    Never,
}

/// A scalar function or operator, as declared.
#[derive(Clone, Copy)]
pub struct ScalarFunction {
    /// Name in upper case, or the operator's symbol (`+`, `IS NULL`, `LIKE`, `ITEM` for `a[i]`).
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub group: Group,
    /// Form of a call, for help and error messages: `LPAD(string, length, pad)`.
    pub syntax: &'static str,
    /// What it computes; NULL and error rules.
    pub doc: &'static str,
    pub determinism: Determinism,
    /// Type inference over the arguments.
    pub signature: fn(&[ArgInfo<'_>]) -> Result<Signature, SignatureError>,
    /// Computes a column.
    ///
    /// - the arguments have exactly the types of the signature;
    /// - the result has `args.rows` values of the physical type of `args.result`;
    /// - an error names the value at fault; it fails the job.
    pub kernel: fn(&mut KernelArgs<'_>) -> Result<ArrayRef, EvalError>,
}

impl std::fmt::Debug for ScalarFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// An argument of a kernel.
#[derive(Clone, Debug)]
pub enum Datum {
    /// One value a row.
    Column(ArrayRef),
    /// The same value for all rows: an array of length 1.
    Constant(ArrayRef),
}

impl Datum {
    /// The array and the index of a row's value in it.
    pub fn array(&self) -> &ArrayRef {
        match self {
            Self::Column(array) | Self::Constant(array) => array,
        }
    }

    /// Index of `row` in [`Self::array`].
    pub fn index(&self, row: usize) -> usize {
        match self {
            Self::Column(_) => row,
            Self::Constant(_) => 0,
        }
    }

    pub fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_))
    }

    pub fn is_null(&self, row: usize) -> bool {
        use arrow_array::Array;
        let array = self.array();
        array.is_null(self.index(row)) || matches!(array.data_type(), arrow_schema::DataType::Null)
    }
}

/// What a kernel is called with.
pub struct KernelArgs<'a> {
    /// Name of the function.
    pub function: &'a str,
    pub args: &'a [Datum],
    pub arg_types: &'a [LogicalType],
    pub result: &'a LogicalType,
    pub rows: usize,
    pub env: &'a Environment,
    /// Kept between batches of one call site: compiled patterns, parsed formats.
    pub cache: &'a mut CallCache,
}

/// State of one call site that survives between batches; never part of a checkpoint.
#[derive(Default)]
pub struct CallCache(Option<Box<dyn Any + Send>>);

impl CallCache {
    /// The cached value of type `T`, made by `make` at the first use.
    pub fn get_or_insert_with<T: Any + Send>(&mut self, make: impl FnOnce() -> T) -> &mut T {
        if !self.0.as_ref().is_some_and(|held| held.is::<T>()) {
            self.0 = Some(Box::new(make()));
        }
        let held = self.0.as_mut().and_then(|held| held.downcast_mut::<T>());
        held.expect("a value of this type was stored two lines above")
    }
}

/// The environment in which a query is evaluated: time, time zone, randomness.
#[derive(Clone)]
pub struct Environment {
    /// `table.local-time-zone`.
    pub zone: TimeZone,
    /// The zone's name as it was set.
    pub zone_name: Arc<str>,
    /// Time of this step (streaming) or of the query's start (batch), milliseconds since the epoch.
    pub now_ms: i64,
    /// Current watermark of the operator, for CURRENT_WATERMARK.
    pub watermark_ms: Option<i64>,
    pub rng: Arc<dyn Rng>,
    /// `table.exec.legacy-cast-behaviour` is ENABLED.
    pub legacy_cast: bool,
    pub current_database: Arc<str>,
    pub streaming: bool,
}

/// Why a value could not be computed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EvalError {
    #[error("division by zero")]
    DivisionByZero,
    #[error("{0}")]
    Data(String),
    /// A defect: types promised by the signature do not hold.
    #[error("internal error in function '{function}': {message}")]
    Internal { function: String, message: String },
}

impl From<arrow_schema::ArrowError> for EvalError {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::Data(error.to_string())
    }
}
