//! Names of types as Flink's validator writes them in "cannot apply" errors (`<INTEGER>`, `<INTEGER ARRAY>`).
//!
//! They are the names in DESCRIBE, which `Display` of [`LogicalType`] gives, where Flink's own would be a stranger's:
//! `STRING` and not `VARCHAR(2147483647)`, `ROW(…)` and not `RecordType(…)`.

use millstream_types::{LogicalType, TypeKind};

/// The validator's name of a type, without nullability.
pub fn sql_type_name(ty: &LogicalType) -> String {
    match &ty.kind {
        TypeKind::Int => "INTEGER".to_owned(),
        TypeKind::Array(element) => format!("{} ARRAY", sql_type_name(element)),
        TypeKind::Multiset(element) => format!("{} MULTISET", sql_type_name(element)),
        TypeKind::Map(key, value) => format!("({}, {}) MAP", sql_type_name(key), sql_type_name(value)),
        TypeKind::Row(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| format!("{} {}", field.name, sql_type_name(&field.ty)))
                .collect();
            format!("ROW({})", fields.join(", "))
        }
        other => other.to_string(),
    }
}
