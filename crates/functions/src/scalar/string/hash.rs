//! MD5, SHA1, SHA224, SHA256, SHA384, SHA512, SHA2.

use arrow_array::ArrayRef;
use md5::Md5;
use millstream_types::{LogicalType, TypeKind};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use crate::scalar::access::data_error;
use crate::scalar::forms::{Arg, check, strict};
use crate::scalar::{EvalError, Group, KernelArgs, ScalarFunction};
use crate::signature::{ArgInfo, Signature, SignatureError};

pub(crate) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction::new(
        Group::Hash,
        "MD5",
        "MD5(string)",
        "The MD5 hash of the string's UTF-8 form (or of bytes), as 32 hexadecimal digits.",
        |args| signature("MD5", args, 32),
        |args| hashed(args, digest::<Md5>),
    ),
    ScalarFunction::new(
        Group::Hash,
        "SHA1",
        "SHA1(string)",
        "The SHA-1 hash of the string's UTF-8 form (or of bytes), as 40 hexadecimal digits.",
        |args| signature("SHA1", args, 40),
        |args| hashed(args, digest::<Sha1>),
    ),
    ScalarFunction::new(
        Group::Hash,
        "SHA224",
        "SHA224(string)",
        "The SHA-224 hash of the string's UTF-8 form (or of bytes), as 56 hexadecimal digits.",
        |args| signature("SHA224", args, 56),
        |args| hashed(args, digest::<Sha224>),
    ),
    ScalarFunction::new(
        Group::Hash,
        "SHA256",
        "SHA256(string)",
        "The SHA-256 hash of the string's UTF-8 form (or of bytes), as 64 hexadecimal digits.",
        |args| signature("SHA256", args, 64),
        |args| hashed(args, digest::<Sha256>),
    ),
    ScalarFunction::new(
        Group::Hash,
        "SHA384",
        "SHA384(string)",
        "The SHA-384 hash of the string's UTF-8 form (or of bytes), as 96 hexadecimal digits.",
        |args| signature("SHA384", args, 96),
        |args| hashed(args, digest::<Sha384>),
    ),
    ScalarFunction::new(
        Group::Hash,
        "SHA512",
        "SHA512(string)",
        "The SHA-512 hash of the string's UTF-8 form (or of bytes), as 128 hexadecimal digits.",
        |args| signature("SHA512", args, 128),
        |args| hashed(args, digest::<Sha512>),
    ),
    ScalarFunction::new(
        Group::Hash,
        "SHA2",
        "SHA2(string, hashLength)",
        "The SHA-2 hash of the given length in bits (224, 256, 384 or 512), as hexadecimal digits.",
        |args| {
            let types = check("SHA2", args, &[&[Arg::Strings, Arg::Integer]])?;
            strict(types, LogicalType::new(TypeKind::Varchar(128)))
        },
        sha2_of,
    ),
];

fn signature(function: &str, args: &[ArgInfo<'_>], digits: u32) -> Result<Signature, SignatureError> {
    let types = check(function, args, &[&[Arg::Strings]])?;
    strict(types, LogicalType::new(TypeKind::Char(digits)))
}

fn digest<D: Digest>(bytes: &[u8], out: &mut String) {
    for byte in D::digest(bytes) {
        for half in [byte >> 4, byte & 15] {
            out.push(char::from(b"0123456789abcdef"[usize::from(half)]));
        }
    }
}

type DigestFn = fn(&[u8], &mut String);

fn hashed(args: &KernelArgs<'_>, digest: DigestFn) -> Result<ArrayRef, EvalError> {
    each_value(args, |_, bytes, out| {
        digest(bytes, out);
        Ok(Some(()))
    })
}

/// Calls `f` with the bytes of the first argument in every row where it is not NULL.
fn each_value(
    args: &KernelArgs<'_>,
    mut f: impl FnMut(usize, &[u8], &mut String) -> Result<Option<()>, EvalError>,
) -> Result<ArrayRef, EvalError> {
    if args.arg_types[0].is_binary() {
        let bytes = args.bytes(0)?;
        return args.try_write_text(|row, out| bytes.get(row).map_or(Ok(None), |bytes| f(row, bytes, out)));
    }
    let text = args.text(0)?;
    args.try_write_text(|row, out| {
        text.get(row)
            .map_or(Ok(None), |text| f(row, text.as_bytes(), out))
    })
}

fn sha2_of(args: &mut KernelArgs<'_>) -> Result<ArrayRef, EvalError> {
    let length = args.integers(1)?;
    each_value(args, |row, bytes, out| {
        let Some(length) = length.get(row) else {
            return Ok(None);
        };
        let digest: DigestFn = match length {
            224 => digest::<Sha224>,
            256 => digest::<Sha256>,
            384 => digest::<Sha384>,
            512 => digest::<Sha512>,
            other => return Err(data_error(format!("unsupported algorithm: SHA-{other}"))),
        };
        digest(bytes, out);
        Ok(Some(()))
    })
}
