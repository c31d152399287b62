//! EXPLAIN text of physical plans. Filled in by the planner's needs; the layout follows Flink's.
