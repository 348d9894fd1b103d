//! Tables: the rows and columns that `kubectl get` prints.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    age,
    form::{RowObject, partial, served},
    resource::{Cell, Column, Resource},
};

/// A Table of objects. A watch sends the columns only once.
pub fn table<'a>(
    res: &Resource,
    objects: impl Iterator<Item = &'a Value>,
    include: RowObject,
    with_columns: bool,
    now: Timestamp,
) -> Value {
    let rows: Vec<Value> = objects.map(|object| row(res, object, include, now)).collect();
    let columns = if with_columns { definitions(res) } else { Value::Null };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {},
        "columnDefinitions": columns, "rows": rows,
    })
}

fn definitions(res: &Resource) -> Value {
    let mut definitions = Vec::new();
    if res.custom {
        definitions.push(definition("Name", "string", "name", 0, "Name must be unique within a namespace."));
    }
    for Column { name, kind, format, priority, description, cell: _ } in &res.columns {
        definitions.push(definition(name, kind, format, *priority, description));
    }
    Value::Array(definitions)
}

fn definition(name: &str, kind: &str, format: &str, priority: i64, description: &str) -> Value {
    json!({ "name": name, "type": kind, "format": format, "priority": priority, "description": description })
}

fn row(res: &Resource, object: &Value, include: RowObject, now: Timestamp) -> Value {
    let mut cells = Vec::new();
    if res.custom {
        cells.push(object.pointer("/metadata/name").cloned().unwrap_or_default());
    }
    cells.extend(res.columns.iter().map(|column| cell(column, object, now)));
    match include {
        RowObject::None => json!({ "cells": cells }),
        RowObject::Metadata => json!({ "cells": cells, "object": partial(object) }),
        RowObject::Object => json!({ "cells": cells, "object": served(res, object) }),
    }
}

fn cell(column: &Column, object: &Value, now: Timestamp) -> Value {
    let path = match &column.cell {
        Cell::Printer(printer) => return printer(object, now),
        Cell::Path(path) => path,
    };
    let found = path.find(object);
    let Some(first) = found.first().filter(|v| !v.is_null()) else {
        return if column.kind == "string" && !column.format.is_empty() { json!("") } else { Value::Null };
    };
    match column.kind.as_str() {
        "integer" | "number" | "boolean" => (*first).clone(),
        "date" => match first.as_str().and_then(|t| t.parse::<Timestamp>().ok()) {
            Some(time) => json!(age::age(time, now)),
            None => json!("<unknown>"),
        },
        _ => {
            let shown = |v: &&Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            json!(found.iter().map(shown).collect::<Vec<_>>().join(","))
        }
    }
}
