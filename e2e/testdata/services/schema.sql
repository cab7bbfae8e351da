CREATE TABLE work (id serial PRIMARY KEY, done boolean NOT NULL DEFAULT false);
INSERT INTO work SELECT FROM generate_series(1, 10);
