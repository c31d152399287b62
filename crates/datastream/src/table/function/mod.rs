//! Functions of the program in SQL: scalar, table and aggregate functions, over values of Rust types or over columns.
//!
//! Arguments and results are types of serde, as rows are. A NULL for an argument that is no `Option` gives NULL without a
//! call; an aggregate function leaves such a row out.

mod aggregate;
mod asynchronous;
mod scalar;

use std::any::{TypeId, type_name};
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use millstream_functions::signature::{ArgInfo, Signature, SignatureError};
use millstream_functions::typing::supports_implicit_cast;
use millstream_functions::user::UserFunction;
use millstream_types::{LogicalType, RowField, TypeKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use super::row::{ColumnsToRows, Shape};
use crate::error::Result;
use crate::functions::AggregateFunction;

pub use asynchronous::AsyncSettings;

/// A scalar function with state of its own, such as a compiled pattern. Closures are made functions by
/// [`Function::scalar`].
///
/// ```
/// use millstream_datastream::Result;
/// use millstream_datastream::table::{Function, ScalarFunction};
///
/// #[derive(Clone)]
/// struct Scale(f64);
///
/// impl ScalarFunction for Scale {
///     type Args = (f64, Option<f64>);
///     type Output = f64;
///     fn eval(&mut self, (value, factor): (f64, Option<f64>)) -> Result<f64> {
///         Ok(value * factor.unwrap_or(self.0))
///     }
/// }
///
/// let scale = Function::scalar_of(Scale(2.0));
/// ```
pub trait ScalarFunction: Clone + Send + Sync + 'static {
    /// A tuple or a struct of the arguments.
    type Args: DeserializeOwned;
    type Output: Serialize + DeserializeOwned;
    fn eval(&mut self, args: Self::Args) -> Result<Self::Output>;
    /// Whether calls with constants may be evaluated while planning, and equal calls once.
    fn is_deterministic(&self) -> bool {
        true
    }
}

type Build = Box<dyn FnOnce(&str, &Handle) -> Result<UserFunction>>;

/// A function for SQL, to be registered with
/// [`StreamTableEnvironment::create_temporary_function`](super::StreamTableEnvironment::create_temporary_function).
pub struct Function {
    of: TypeId,
    class: &'static str,
    build: Build,
}

impl Function {
    /// One value for each row.
    ///
    /// ```
    /// use millstream_datastream::table::Function;
    ///
    /// let repeat = Function::scalar(|(text, n): (String, i32)| text.repeat(n.max(0) as usize));
    /// ```
    pub fn scalar<A, O, F>(function: F) -> Self
    where
        A: DeserializeOwned + 'static,
        O: Serialize + DeserializeOwned + 'static,
        F: FnMut(A) -> O + Clone + Send + Sync + 'static,
    {
        Self::scalar_of(Closure {
            function,
            of: PhantomData,
        })
        .named::<F>()
    }

    /// One value for each row, of a type with state.
    pub fn scalar_of<S: ScalarFunction>(function: S) -> Self {
        Self::new::<S>(move |name, _| scalar::rows(name, function, false))
    }

    /// Any number of rows for each row: `LATERAL TABLE(f(…))`. A struct has a column for each field, any other value the
    /// column `f0`.
    ///
    /// ```
    /// use millstream_datastream::table::Function;
    ///
    /// let words = Function::table(|(line,): (String,)| {
    ///     line.split_whitespace().map(|word| (word.to_owned(), word.len() as i64)).collect::<Vec<_>>()
    /// });
    /// ```
    pub fn table<A, T, F>(function: F) -> Self
    where
        A: DeserializeOwned + 'static,
        T: Serialize + DeserializeOwned + 'static,
        F: FnMut(A) -> Vec<T> + Clone + Send + Sync + 'static,
    {
        let closure = Closure {
            function,
            of: PhantomData,
        };
        Self::new::<F>(move |name, _| scalar::rows(name, closure, true))
    }

    /// One value for many rows, with an accumulator that is kept in checkpoints.
    pub fn aggregate<I, O, A>(function: A) -> Self
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + DeserializeOwned + Send + 'static,
        A: AggregateFunction<I, O> + Sync,
    {
        Self::new::<A>(move |name, _| aggregate::function::<I, O, A>(name, function))
    }

    /// One value for each row from a future. The rows of a batch are looked up side by side, as many as the settings
    /// allow, and keep their order.
    ///
    /// ```
    /// use millstream_datastream::table::{AsyncSettings, Function};
    ///
    /// let name = Function::asynchronous(AsyncSettings::default(), |(id,): (i64,)| async move {
    ///     // A lookup in another system.
    ///     Ok(format!("name of {id}"))
    /// });
    /// ```
    pub fn asynchronous<A, O, F, R>(settings: AsyncSettings, function: F) -> Self
    where
        A: DeserializeOwned + Clone + Send + 'static,
        O: Serialize + DeserializeOwned + Send + 'static,
        F: Fn(A) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<O>> + Send + 'static,
    {
        Self::new::<F>(move |name, runtime| asynchronous::function(name, settings, function, runtime))
    }

    /// One column for columns: the closure gets Arrow arrays of equal length and the number of rows, and gives an array of
    /// the result's type. Constants come as arrays, too.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use arrow_array::{Int64Array, cast::AsArray, types::Int64Type};
    /// use millstream_datastream::table::{Function, LogicalType};
    ///
    /// let twice = Function::vectorized([LogicalType::BIGINT], LogicalType::BIGINT, |columns, _| {
    ///     let values = columns[0].as_primitive::<Int64Type>();
    ///     Ok(Arc::new(values.unary::<_, Int64Type>(|value| value * 2)))
    /// });
    /// ```
    pub fn vectorized<F>(
        args: impl IntoIterator<Item = LogicalType>,
        result: LogicalType,
        function: F,
    ) -> Self
    where
        F: FnMut(&[ArrayRef], usize) -> Result<ArrayRef> + Clone + Send + Sync + 'static,
    {
        let args: Vec<LogicalType> = args.into_iter().collect();
        Self::new::<F>(move |name, _| Ok(scalar::columns(name, args, result, function)))
    }

    fn new<T: 'static>(build: impl FnOnce(&str, &Handle) -> Result<UserFunction> + 'static) -> Self {
        Self {
            of: TypeId::of::<T>(),
            class: type_name::<T>(),
            build: Box::new(build),
        }
    }

    fn named<T: 'static>(self) -> Self {
        Self {
            of: TypeId::of::<T>(),
            class: type_name::<T>(),
            ..self
        }
    }

    pub(super) fn class(&self) -> &'static str {
        self.class
    }

    pub(super) fn type_id(&self) -> TypeId {
        self.of
    }

    pub(super) fn build(self, name: &str, runtime: &Handle) -> Result<UserFunction> {
        (self.build)(name, runtime)
    }
}

struct Closure<A, O, F> {
    function: F,
    of: PhantomData<fn(A) -> O>,
}

impl<A, O, F: Clone> Clone for Closure<A, O, F> {
    fn clone(&self) -> Self {
        Self {
            function: self.function.clone(),
            of: PhantomData,
        }
    }
}

impl<A, O, F> ScalarFunction for Closure<A, O, F>
where
    A: DeserializeOwned + 'static,
    O: Serialize + DeserializeOwned + 'static,
    F: FnMut(A) -> O + Clone + Send + Sync + 'static,
{
    type Args = A;
    type Output = O;

    fn eval(&mut self, args: A) -> Result<O> {
        Ok((self.function)(args))
    }
}

/// The parameters of a function.
#[derive(Clone)]
struct Parameters {
    function: Arc<str>,
    types: Vec<(String, LogicalType)>,
}

impl Parameters {
    fn of<A: DeserializeOwned>(function: &str) -> Result<Self> {
        Ok(Self {
            function: function.into(),
            types: Shape::of::<A>()?.columns(),
        })
    }

    /// The types that arguments are cast to, and whether one of them may be a NULL that the function does not take.
    fn check(&self, args: &[ArgInfo<'_>]) -> Result<(Vec<LogicalType>, bool), SignatureError> {
        if args.len() != self.types.len() {
            return Err(SignatureError::Count {
                function: self.function.to_string(),
                expected: self.types.len().to_string(),
                found: args.len(),
            });
        }
        let pairs = || args.iter().zip(&self.types);
        let fits = |arg: &ArgInfo<'_>, ty: &LogicalType| {
            supports_implicit_cast(&arg.ty.with_nullable(true), &ty.with_nullable(true))
        };
        if !pairs().all(|(arg, (_, ty))| fits(arg, ty)) {
            let texts = |types: Vec<String>| types.join(", ");
            return Err(SignatureError::Types {
                function: self.function.to_string(),
                found: texts(args.iter().map(|arg| format!("<{}>", arg.ty)).collect()),
                expected: format!(
                    "{}({})",
                    self.function,
                    texts(self.types.iter().map(|(_, ty)| format!("<{ty}>")).collect())
                ),
            });
        }
        let skips = pairs().any(|(arg, (_, ty))| arg.ty.nullable && !ty.nullable);
        let types = pairs().map(|(arg, (_, ty))| ty.with_nullable(arg.ty.nullable));
        Ok((types.collect(), skips))
    }

    fn signature(&self, args: &[ArgInfo<'_>], result: &LogicalType) -> Result<Signature, SignatureError> {
        let (types, skips) = self.check(args)?;
        Ok(Signature {
            args: types,
            result: result.with_nullable(result.nullable || skips),
        })
    }

    /// Whether the row has a NULL that the function does not take.
    fn skips(&self, columns: &[ArrayRef], row: usize) -> bool {
        let mut pairs = columns.iter().zip(&self.types);
        pairs.any(|(column, (_, ty))| !ty.nullable && column.is_null(row))
    }

    /// Reads the arguments of a row.
    fn reader(&self) -> ColumnsToRows {
        let field = |(name, ty): &(String, LogicalType)| RowField {
            name: name.clone(),
            ty: ty.clone(),
            description: None,
        };
        ColumnsToRows::of_fields(self.types.iter().map(field).collect())
    }
}

/// The type of a result.
fn result_type<O: DeserializeOwned>() -> Result<LogicalType> {
    Ok(match Shape::of::<O>()? {
        Shape::Atomic(ty) => ty,
        Shape::Fields(fields) => LogicalType::row(fields).with_nullable(false),
    })
}

/// The type of an element of a list.
fn is_list(ty: &LogicalType) -> bool {
    matches!(ty.kind, TypeKind::Array(_))
}
