//! Where rows are kept: the SQLite of an object, and the database (D1).

pub mod alarm;
pub mod d1;
pub mod machine_rows;
pub mod row;
pub mod schema;
pub mod sql;
