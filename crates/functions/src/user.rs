//! Functions that a program registers at run time.
//!
//! The rest of the engine knows functions as static declarations by name. A registered function gets such a declaration,
//! once for each name and type, so that plans, folding and operators treat it like a built-in one; its kernel finds the
//! implementation by the name. Names have a dot (`catalog.database.function`, or `system.function`), which no built-in
//! function has. A second implementation under a name that is taken gets a numbered name: state is found by names, and a
//! program registers its functions in the same order each time.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use arrow_array::ArrayRef;
use millstream_types::LogicalType;

use crate::aggregate::{AccumulatorArgs, AggregateFunction, GroupsAccumulator};
use crate::scalar::{Datum, Determinism, EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

/// A scalar function of a program, or a table function as one that gives an array of rows.
pub trait UserScalar: Send + Sync {
    fn signature(&self, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError>;
    /// Whether calls with constants may be evaluated while planning, and equal calls once.
    fn is_deterministic(&self) -> bool {
        true
    }
    /// Whether it stands in FROM: `LATERAL TABLE(f(…))`.
    fn is_table(&self) -> bool {
        false
    }
    /// What one call site evaluates with.
    fn instance(&self) -> Box<dyn UserKernel>;
}

/// Evaluates the calls of one site.
pub trait UserKernel: Send {
    /// The result has `args.rows` values of the physical type of `args.result`.
    fn evaluate(&mut self, args: &UserArgs<'_>) -> Result<ArrayRef, EvalError>;
}

/// What a [`UserKernel`] is called with, as [`KernelArgs`].
pub struct UserArgs<'a> {
    pub args: &'a [Datum],
    pub arg_types: &'a [LogicalType],
    pub result: &'a LogicalType,
    pub rows: usize,
}

/// An aggregate function of a program.
pub trait UserAggregate: Send + Sync {
    fn signature(&self, args: &[ArgInfo<'_>]) -> Result<Signature, SignatureError>;
    fn accumulator(&self, args: &AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator>;
}

/// What a program registers.
#[derive(Clone)]
pub enum UserFunction {
    Scalar(Arc<dyn UserScalar>),
    Aggregate(Arc<dyn UserAggregate>),
}

#[derive(Clone)]
enum Declared {
    Scalar(&'static ScalarFunction, Arc<dyn UserScalar>),
    Aggregate(&'static AggregateFunction, Arc<dyn UserAggregate>),
}

struct Entry {
    /// The type of the implementation.
    of: TypeId,
    declared: Declared,
}

static REGISTERED: RwLock<BTreeMap<String, Entry>> = RwLock::new(BTreeMap::new());

/// Registers a function; returns the name by which plans call it. `of` is the type of the implementation: one of the
/// same type takes the place of an earlier one.
pub fn register(name: &str, of: TypeId, function: UserFunction) -> String {
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    let mut key = name.to_owned();
    let mut number = 1;
    while registered.get(&key).is_some_and(|entry| entry.of != of) {
        number += 1;
        key = format!("{name}#{number}");
    }
    let known = registered.get(&key).map(|entry| entry.declared.clone());
    let declared = match (function, known) {
        (UserFunction::Scalar(function), Some(Declared::Scalar(declared, _)))
            if declared.determinism == determinism(function.as_ref()) =>
        {
            Declared::Scalar(declared, function)
        }
        (UserFunction::Aggregate(function), Some(Declared::Aggregate(declared, _))) => {
            Declared::Aggregate(declared, function)
        }
        (UserFunction::Scalar(function), _) => {
            Declared::Scalar(declare_scalar(&key, function.as_ref()), function)
        }
        (UserFunction::Aggregate(function), _) => Declared::Aggregate(declare_aggregate(&key), function),
    };
    registered.insert(key.clone(), Entry { of, declared });
    key
}

fn determinism(function: &dyn UserScalar) -> Determinism {
    if function.is_deterministic() {
        Determinism::Always
    } else {
        Determinism::Never
    }
}

/// Declarations live as long as the process, as those of built-in functions do.
fn declare_scalar(key: &str, function: &dyn UserScalar) -> &'static ScalarFunction {
    let name: &'static str = String::leak(key.to_owned());
    Box::leak(Box::new(ScalarFunction {
        name,
        aliases: &[],
        group: Group::Auxiliary,
        syntax: name,
        doc: "A function of the program.",
        determinism: determinism(function),
        signature: |_| {
            Err(SignatureError::Other(
                "a function of a program is typed by itself".to_owned(),
            ))
        },
        kernel,
    }))
}

fn declare_aggregate(key: &str) -> &'static AggregateFunction {
    let name: &'static str = String::leak(key.to_owned());
    Box::leak(Box::new(AggregateFunction {
        name,
        aliases: &[],
        syntax: name,
        doc: "A function of the program.",
        window_only: false,
        constant_args: &[],
        signature: |_| {
            Err(SignatureError::Other(
                "a function of a program is typed by itself".to_owned(),
            ))
        },
        accumulator,
    }))
}

fn declared(name: &str) -> Option<Declared> {
    if !name.contains('.') {
        return None;
    }
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    registered.get(name).map(|entry| entry.declared.clone())
}

/// The declaration of a registered scalar function.
pub fn scalar(name: &str) -> Option<&'static ScalarFunction> {
    match declared(name)? {
        Declared::Scalar(declared, _) => Some(declared),
        Declared::Aggregate(..) => None,
    }
}

/// The declaration of a registered aggregate function.
pub fn aggregate(name: &str) -> Option<&'static AggregateFunction> {
    match declared(name)? {
        Declared::Aggregate(declared, _) => Some(declared),
        Declared::Scalar(..) => None,
    }
}

/// Whether a registered function stands in FROM.
pub fn is_table(name: &str) -> bool {
    matches!(declared(name), Some(Declared::Scalar(_, function)) if function.is_table())
}

/// The signature of a call of any scalar function.
pub fn scalar_signature(
    function: &ScalarFunction,
    args: &[ArgInfo<'_>],
) -> Result<Signature, SignatureError> {
    match declared(function.name) {
        Some(Declared::Scalar(_, function)) => function.signature(args),
        _ => (function.signature)(args),
    }
}

/// The signature of a call of any aggregate function.
pub fn aggregate_signature(
    function: &AggregateFunction,
    args: &[ArgInfo<'_>],
) -> Result<Signature, SignatureError> {
    match declared(function.name) {
        Some(Declared::Aggregate(_, function)) => function.signature(args),
        _ => (function.signature)(args),
    }
}

/// The instance of a call site and the function that it is of.
struct Site(Box<dyn UserKernel>);

fn kernel(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let Some(Declared::Scalar(_, function)) = declared(args.function) else {
        return Err(EvalError::Internal {
            function: args.function.to_owned(),
            message: "the program does not have it any more".to_owned(),
        });
    };
    let of_user = UserArgs {
        args: args.args,
        arg_types: args.arg_types,
        result: args.result,
        rows: args.rows,
    };
    let site = args.cache.get_or_insert_with(|| Site(function.instance()));
    site.0.evaluate(&of_user)
}

fn accumulator(args: &AccumulatorArgs<'_>) -> Box<dyn GroupsAccumulator> {
    match declared(args.function) {
        Some(Declared::Aggregate(_, function)) => function.accumulator(args),
        // Functions are never taken away, and the name comes from a declaration.
        _ => unreachable!("'{}' was registered as an aggregate function", args.function),
    }
}
