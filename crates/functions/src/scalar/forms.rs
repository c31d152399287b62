//! Which arguments a function takes: the small language in which signatures are written.
//!
//! A function has one or more *forms*, each a list of [`Arg`]s. [`check`] finds the form that fits and says to which types
//! the arguments are cast, or refuses with Flink's words. Result types are made by the functions themselves.

use millstream_types::logical_type::MAX_LENGTH;
use millstream_types::{LogicalType, TypeFamily, TypeKind};

use super::{Determinism, EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

/// What one argument may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arg {
    Character,
    Binary,
    /// Character or binary string.
    Strings,
    Boolean,
    /// TINYINT to BIGINT, kept as it is.
    Integer,
    Numeric,
    /// TIMESTAMP or TIMESTAMP_LTZ.
    AnyTimestamp,
    Array,
    Map,
    Bitmap,
    Any,
}

impl Arg {
    /// The type that the argument is cast to; `None` if it does not fit. A bare NULL fits everywhere.
    fn accept(self, ty: &LogicalType) -> Option<LogicalType> {
        if ty.is_null() {
            return Some(self.null_type());
        }
        let family = ty.family();
        let fits = match self {
            Self::Character => family == TypeFamily::CharacterString,
            Self::Binary => family == TypeFamily::BinaryString,
            Self::Strings => ty.is_character() || ty.is_binary(),
            Self::Boolean => family == TypeFamily::Boolean,
            Self::Integer => family == TypeFamily::Integer,
            Self::Numeric => ty.is_numeric(),
            Self::AnyTimestamp => ty.is_timestamp_like(),
            Self::Array => family == TypeFamily::Array,
            Self::Map => family == TypeFamily::Map,
            Self::Bitmap => family == TypeFamily::Bitmap,
            Self::Any => true,
        };
        fits.then(|| ty.without_time_attribute())
    }

    fn null_type(self) -> LogicalType {
        match self {
            Self::Character | Self::Strings => LogicalType::STRING,
            Self::Binary => LogicalType::BYTES,
            Self::Boolean => LogicalType::BOOLEAN,
            Self::Integer | Self::Numeric => LogicalType::INT,
            Self::AnyTimestamp => LogicalType::timestamp(3),
            Self::Array => LogicalType::array(LogicalType::NULL),
            Self::Map => LogicalType::map(LogicalType::NULL, LogicalType::NULL),
            Self::Bitmap => LogicalType::new(TypeKind::Bitmap),
            Self::Any => LogicalType::NULL,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Character => "<CHARACTER_STRING>",
            Self::Binary => "<BINARY_STRING>",
            Self::Strings => "<CHARACTER_STRING or BINARY_STRING>",
            Self::Boolean => "BOOLEAN",
            Self::Integer => "<INTEGER_NUMERIC>",
            Self::Numeric => "<NUMERIC>",
            Self::AnyTimestamp => "<TIMESTAMP>",
            Self::Array => "<ARRAY>",
            Self::Map => "<MAP>",
            Self::Bitmap => "BITMAP",
            Self::Any => "<ANY>",
        }
    }
}

/// Types of the arguments by the first form that fits.
pub(crate) fn check(
    function: &str,
    args: &[ArgInfo<'_>],
    forms: &[&[Arg]],
) -> Result<Vec<LogicalType>, SignatureError> {
    for form in forms.iter().filter(|form| form.len() == args.len()) {
        let types: Option<Vec<LogicalType>> = form
            .iter()
            .zip(args)
            .map(|(want, arg)| want.accept(arg.ty))
            .collect();
        if let Some(types) = types {
            return Ok(types);
        }
    }
    let listed = |form: &&[Arg]| {
        let words: Vec<&str> = form.iter().map(|want| want.word()).collect();
        format!("{function}({})", words.join(", "))
    };
    let expected: Vec<String> = forms.iter().map(listed).collect();
    if forms.iter().any(|form| form.len() == args.len()) {
        return Err(wrong_types(function, args, expected.join(", ")));
    }
    let mut counts: Vec<usize> = forms.iter().map(|form| form.len()).collect();
    counts.sort_unstable();
    counts.dedup();
    let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
    Err(wrong_count(function, counts.join(" or "), args.len()))
}

/// Types of `least` or more arguments that are all `want`.
pub(crate) fn check_repeated(
    function: &str,
    args: &[ArgInfo<'_>],
    least: usize,
    want: Arg,
) -> Result<Vec<LogicalType>, SignatureError> {
    if args.len() < least {
        return Err(wrong_count(function, format!("at least {least}"), args.len()));
    }
    let types: Option<Vec<LogicalType>> = args.iter().map(|arg| want.accept(arg.ty)).collect();
    types.ok_or_else(|| wrong_types(function, args, format!("{function}({}...)", want.word())))
}

pub(crate) fn wrong_count(function: &str, expected: impl Into<String>, found: usize) -> SignatureError {
    SignatureError::Count {
        function: function.to_owned(),
        expected: expected.into(),
        found,
    }
}

pub(crate) fn wrong_types(
    function: &str,
    args: &[ArgInfo<'_>],
    expected: impl Into<String>,
) -> SignatureError {
    let found: Vec<String> = args.iter().map(|arg| arg.ty.to_string()).collect();
    SignatureError::Types {
        function: function.to_owned(),
        found: found.join(", "),
        expected: expected.into(),
    }
}

pub(crate) fn refused(message: impl Into<String>) -> SignatureError {
    SignatureError::Other(message.into())
}

/// Whether a NULL among the arguments makes the result NULL-able.
pub(crate) fn any_nullable(types: &[LogicalType]) -> bool {
    types.iter().any(|ty| ty.nullable)
}

/// A signature whose result is NULL if an argument is.
pub(crate) fn strict(args: Vec<LogicalType>, result: LogicalType) -> Result<Signature, SignatureError> {
    let result = result.with_nullable(any_nullable(&args));
    Ok(Signature { args, result })
}

/// A signature whose result can be NULL whatever the arguments are.
pub(crate) fn nullable(args: Vec<LogicalType>, result: LogicalType) -> Result<Signature, SignatureError> {
    Ok(Signature {
        args,
        result: result.with_nullable(true),
    })
}

/// CHAR(n) as VARCHAR(n), BINARY(n) as VARBINARY(n).
pub(crate) fn varying(ty: &LogicalType) -> LogicalType {
    let kind = match ty.kind {
        TypeKind::Char(n) => TypeKind::Varchar(n),
        TypeKind::Binary(n) => TypeKind::Varbinary(n),
        ref other => other.clone(),
    };
    LogicalType {
        kind,
        nullable: ty.nullable,
    }
}

/// The character type that holds the texts of all of `types` one after the other.
pub(crate) fn concatenated(types: &[LogicalType]) -> LogicalType {
    let length = types
        .iter()
        .map(|ty| ty.length().unwrap_or(MAX_LENGTH))
        .fold(0u32, u32::saturating_add);
    let length = length.min(MAX_LENGTH);
    let binary = types.first().is_some_and(LogicalType::is_binary);
    let fixed = types
        .iter()
        .all(|ty| matches!(ty.kind, TypeKind::Char(_) | TypeKind::Binary(_)));
    LogicalType::new(match (binary, fixed) {
        (false, true) => TypeKind::Char(length),
        (false, false) => TypeKind::Varchar(length),
        (true, true) => TypeKind::Binary(length),
        (true, false) => TypeKind::Varbinary(length),
    })
}

pub(crate) type SignatureFn = fn(&[ArgInfo<'_>]) -> Result<Signature, SignatureError>;
pub(crate) type KernelFn = fn(&mut KernelArgs<'_>) -> Result<arrow_array::ArrayRef, EvalError>;

impl ScalarFunction {
    /// A deterministic function without aliases.
    pub(crate) const fn new(
        group: Group,
        name: &'static str,
        syntax: &'static str,
        doc: &'static str,
        signature: SignatureFn,
        kernel: KernelFn,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            group,
            syntax,
            doc,
            determinism: Determinism::Always,
            signature,
            kernel,
        }
    }

    pub(crate) const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(crate) const fn determinism(mut self, determinism: Determinism) -> Self {
        self.determinism = determinism;
        self
    }
}
