-- What curation finds out about an example, labels with notes and tags, frozen queues, near-duplicates.
ALTER TABLE session ADD COLUMN licence TEXT NOT NULL DEFAULT '';   -- SPDX id of the code it came from, where known

ALTER TABLE example ADD COLUMN outcome TEXT NOT NULL DEFAULT 'unknown';  -- 'success', 'unknown', 'complained' or 'failed'
ALTER TABLE example ADD COLUMN signals BLOB;               -- JSON list of curation.outcome.Signal: why
ALTER TABLE example ADD COLUMN opinion TEXT NOT NULL DEFAULT '';   -- the language its written code looks like
ALTER TABLE example ADD COLUMN findings BLOB;              -- JSON {redaction rule: count}
ALTER TABLE example ADD COLUMN secrets INTEGER NOT NULL DEFAULT 0; -- how many of them are secrets
ALTER TABLE example ADD COLUMN cluster INTEGER;            -- near-duplicates share one: the smallest member's id
ALTER TABLE example ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';    -- derived from labels: JSON list, sorted
ALTER TABLE example ADD COLUMN note TEXT;                  -- derived from labels: the latest note
CREATE INDEX example_cluster ON example (cluster) WHERE cluster IS NOT NULL;

-- Every condition of a filter is answered from one index: rows are wide, their verdicts are not read for it.
DROP INDEX example_recent;
CREATE INDEX example_recent ON example (created DESC, id DESC, session_id, language, human_language, confidence, decision,
    flagged, edit, agent, model, characters, doc, outcome, opinion, secrets, cluster, tags) WHERE dropped IS NULL;

-- Its shingles' MinHash, and of which content.
CREATE TABLE example_signature (
    example_id INTEGER PRIMARY KEY REFERENCES example (id) ON DELETE CASCADE,
    key        TEXT NOT NULL,
    signature  BLOB NOT NULL
);

-- SQLite cannot change a CHECK: the label table is made anew, with its rows.
CREATE TEMP TABLE kept_edit AS SELECT id, edit FROM example WHERE edit IS NOT NULL;
UPDATE example SET edit = NULL WHERE edit IS NOT NULL;
CREATE TABLE label_2 (
    id          INTEGER PRIMARY KEY,
    example_id  INTEGER NOT NULL REFERENCES example (id),
    example_key TEXT NOT NULL,              -- the content it was given for
    action      TEXT NOT NULL CHECK (action IN
                ('accept','reject','skip','language','flag','unflag','edit','note','tag','untag','undo')),
    value       BLOB,                       -- the language, the note, the tag, or the edited messages
    author      TEXT NOT NULL,
    at          INTEGER NOT NULL,           -- epoch milliseconds
    seconds     REAL,                       -- time spent looking at it
    reason      TEXT,
    batch       TEXT NOT NULL,              -- labels of one decision; undone together
    undoes      TEXT,                       -- the batch an 'undo' takes back
    again       INTEGER NOT NULL DEFAULT 0  -- the question was asked before, to measure consistency
);
INSERT INTO label_2 (id, example_id, example_key, action, value, author, at, seconds, reason, batch, undoes)
    SELECT id, example_id, example_key, action, value, author, at, seconds, reason, batch, undoes FROM label;
DROP TABLE label;
ALTER TABLE label_2 RENAME TO label;
UPDATE example SET edit = (SELECT edit FROM kept_edit WHERE kept_edit.id = example.id)
    WHERE id IN (SELECT id FROM kept_edit);
DROP TABLE kept_edit;
CREATE INDEX label_example ON label (example_id, id);
CREATE INDEX label_batch ON label (batch);
CREATE INDEX label_author ON label (author, id);
CREATE INDEX label_time ON label (author, at);
CREATE TRIGGER label_is_append_only_update BEFORE UPDATE ON label
BEGIN SELECT raise(ABORT, 'labels are append-only'); END;
CREATE TRIGGER label_is_append_only_delete BEFORE DELETE ON label
BEGIN SELECT raise(ABORT, 'labels are append-only'); END;

-- A list of examples frozen when labelling began: what is decided in it does not change it.
CREATE TABLE queue (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL,
    author   TEXT NOT NULL,                 -- whose decisions fill it
    filter   BLOB NOT NULL,                 -- JSON of curation.examples.Filter
    order_by TEXT NOT NULL,
    created  INTEGER NOT NULL,              -- epoch milliseconds
    UNIQUE (name, author)
);
CREATE TABLE queue_item (
    queue_id   INTEGER NOT NULL REFERENCES queue (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    example_id INTEGER NOT NULL REFERENCES example (id),
    again      INTEGER NOT NULL DEFAULT 0,  -- asked a second time
    batch      TEXT,                        -- the decision it got here
    PRIMARY KEY (queue_id, position)
) WITHOUT ROWID;
CREATE INDEX queue_item_batch ON queue_item (batch) WHERE batch IS NOT NULL;
CREATE INDEX queue_item_example ON queue_item (example_id);

-- Every example is looked at anew.
UPDATE session SET curated = '';
