CREATE TABLE notes (id integer PRIMARY KEY, text text NOT NULL);
INSERT INTO notes VALUES (1, 'buy milk'), (2, 'call home');
