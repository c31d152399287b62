//! Names of types as Flink's validator writes them in "cannot apply" errors (`<INTEGER>`, `<INTEGER ARRAY>`).
//!
//! They differ from the names in DESCRIBE, which `Display` of [`LogicalType`] gives.

use millstream_types::{LogicalType, TypeKind};

/// The validator's name of a type, without nullability.
pub fn sql_type_name(ty: &LogicalType) -> String {
    match &ty.kind {
        TypeKind::Varchar(n) => format!("VARCHAR({n})"),
        TypeKind::Varbinary(n) => format!("VARBINARY({n})"),
        TypeKind::Int => "INTEGER".to_owned(),
        TypeKind::TimestampLtz { precision, .. } => format!("TIMESTAMP_WITH_LOCAL_TIME_ZONE({precision})"),
        TypeKind::Array(element) => format!("{} ARRAY", sql_type_name(element)),
        TypeKind::Multiset(element) => format!("{} MULTISET", sql_type_name(element)),
        TypeKind::Map(key, value) => format!("({}, {}) MAP", sql_type_name(key), sql_type_name(value)),
        TypeKind::Row(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| format!("{} {}", sql_type_name(&field.ty), field.name))
                .collect();
            format!("RecordType({})", fields.join(", "))
        }
        other => other.to_string(),
    }
}
