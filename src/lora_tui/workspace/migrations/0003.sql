-- How far each repository was mined: a commit up to which every commit was read with these settings.
CREATE TABLE mined (
    repository TEXT NOT NULL,               -- its git folder
    settings   TEXT NOT NULL,               -- hash of languages, rules, folder and form
    tip        TEXT NOT NULL,
    at         INTEGER NOT NULL,            -- epoch milliseconds
    PRIMARY KEY (repository, settings, tip)
);
