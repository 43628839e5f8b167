//! The views: the public interface for queries. `docs/journal.md` describes their columns, and a test compares the two.
//!
//! The tables change with the version of the schema. A column of a view stays: its name, its place and its meaning. New
//! columns go to the end. Only functions of SQLite 3.38 are used, since the shell of an operator may be that old.

/// Every view, in an order in which they can be created.
pub(super) const NAMES: [&str; 7] =
    ["calls", "attempts", "effects", "denials", "findings", "grades", "prunes"];

/// Creates the views.
pub(super) const CREATE: &str = "
CREATE VIEW calls AS
    SELECT id, datetime(started_unix_ms / 1000, 'unixepoch') AS at, tool, code,
           ended_unix_ms - started_unix_ms AS ms, caller, session, record ->> '$.trace' AS trace,
           record ->> '$.reply.status' AS status, record ->> '$.plan.routes[0].from.effect' AS effect,
           record ->> '$.decision.ruling' AS ruling, record ->> '$.component' AS component,
           record ->> '$.policy' AS policy, record ->> '$.reply.provenance.route' AS route,
           json_array_length(record, '$.attempts') AS attempts,
           (SELECT sum(value ->> '$.usage.fuel') FROM json_each(record, '$.attempts')) AS fuel,
           nullif(record -> '$.args', 'null') AS args, record -> '$.reply.result' AS result, parts,
           started_unix_ms, datetime(erased_unix_ms / 1000, 'unixepoch') AS erased_at
    FROM (SELECT * FROM records UNION ALL SELECT * FROM committed) AS entry;

CREATE VIEW attempts AS
    SELECT entry.id AS call, datetime(entry.started_unix_ms / 1000, 'unixepoch') AS at, attempt.key + 1 AS number,
           attempt.value ->> '$.route' AS tool, attempt.value ->> '$.number' AS try,
           attempt.value ->> '$.code' AS code, attempt.value ->> '$.component' AS component,
           attempt.value ->> '$.usage.fuel' AS fuel, attempt.value ->> '$.usage.wall_us' AS wall_us,
           attempt.value ->> '$.usage.cpu_us' AS cpu_us,
           attempt.value ->> '$.usage.memory_bytes' AS memory_bytes,
           coalesce(attempt.value ->> '$.usage.requests', 0) AS requests,
           coalesce(attempt.value ->> '$.usage.up_bytes', 0) AS up_bytes,
           coalesce(attempt.value ->> '$.usage.down_bytes', 0) AS down_bytes,
           coalesce(attempt.value ->> '$.usage.written_bytes', 0) AS written_bytes,
           attempt.value ->> '$.trap.message' AS trap, attempt.value ->> '$.log' AS log
    FROM (SELECT * FROM records UNION ALL SELECT * FROM committed) AS entry,
         json_each(entry.record, '$.attempts') AS attempt;

CREATE VIEW effects AS
    SELECT entry.id AS call, datetime(entry.started_unix_ms / 1000, 'unixepoch') AS at, attempt.key + 1 AS attempt,
           attempt.value ->> '$.route' AS tool, attempt.value ->> '$.effects.dispatched' AS dispatched,
           attempt.value ->> '$.effects.settled' AS settled,
           attempt.value -> '$.effects.open_at' AS open_at, attempt.value -> '$.uses' AS uses
    FROM (SELECT * FROM records UNION ALL SELECT * FROM committed) AS entry,
         json_each(entry.record, '$.attempts') AS attempt
    WHERE attempt.value -> '$.effects' IS NOT NULL;

CREATE VIEW denials AS
    SELECT entry.id AS call, datetime(entry.started_unix_ms / 1000, 'unixepoch') AS at, entry.caller AS caller,
           NULL AS attempt, entry.tool AS tool,
           denial.value ->> '$.capability' AS capability, denial.value ->> '$.asked' AS asked,
           denial.value ->> '$.kind' AS kind, denial.value ->> '$.rule' AS rule,
           denial.value ->> '$.at' AS place, denial.value ->> '$.grant' AS grant_line,
           coalesce(denial.value ->> '$.reported', 0) AS passed
    FROM (SELECT * FROM records UNION ALL SELECT * FROM committed) AS entry,
         json_each(entry.record, '$.decision.denied') AS denial
    UNION ALL
    SELECT entry.id, datetime(entry.started_unix_ms / 1000, 'unixepoch'), entry.caller, attempt.key + 1,
           attempt.value ->> '$.route', denial.value ->> '$.capability', denial.value ->> '$.asked',
           denial.value ->> '$.kind', denial.value ->> '$.rule', denial.value ->> '$.at',
           denial.value ->> '$.grant', coalesce(denial.value ->> '$.reported', 0)
    FROM (SELECT * FROM records UNION ALL SELECT * FROM committed) AS entry,
         json_each(entry.record, '$.attempts') AS attempt, json_each(attempt.value, '$.denied') AS denial;

CREATE VIEW findings AS
    SELECT entry.id AS call, datetime(entry.started_unix_ms / 1000, 'unixepoch') AS at, attempt.key + 1 AS attempt,
           attempt.value ->> '$.route' AS tool, finding.value ->> '$.kind' AS kind,
           finding.value ->> '$.verdict' AS verdict, finding.value ->> '$.path' AS path,
           finding.value ->> '$.expected' AS expected, finding.value ->> '$.got' AS got
    FROM (SELECT * FROM records UNION ALL SELECT * FROM committed) AS entry,
         json_each(entry.record, '$.attempts') AS attempt, json_each(attempt.value, '$.findings') AS finding;

CREATE VIEW grades AS
    SELECT number, call, datetime(at_unix_ms / 1000, 'unixepoch') AS at, grade, by, note FROM graded;

CREATE VIEW prunes AS
    SELECT text ->> '$.run' AS number, datetime(min(text ->> '$.at_unix_ms') / 1000, 'unixepoch') AS at,
           text ->> '$.by' AS by, sum(text ->> '$.erased') AS erased, sum(text ->> '$.removed') AS removed,
           min(text ->> '$.first') AS first, max(text ->> '$.last') AS last
    FROM log WHERE kind = 'prune' GROUP BY text ->> '$.run';
";
