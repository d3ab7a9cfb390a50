//! Where rows are kept: the SQLite of an object, and the database (D1).

pub(crate) mod alarm;
pub(crate) mod d1;
pub(crate) mod machine_rows;
pub(crate) mod row;
pub(crate) mod schema;
pub(crate) mod sql;
