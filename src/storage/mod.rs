//! Where rows are kept: the SQLite of an object, and the database (D1); and the archive (R2), where packs are.

pub(crate) mod alarm;
pub(crate) mod archive;
pub(crate) mod d1;
pub(crate) mod history;
pub(crate) mod machine_rows;
pub(crate) mod page;
pub(crate) mod row;
pub(crate) mod schema;
pub(crate) mod sql;
