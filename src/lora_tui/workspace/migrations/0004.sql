-- Why a question stands in a queue, where something proposed it.
ALTER TABLE queue_item ADD COLUMN reason TEXT NOT NULL DEFAULT '';
