-- The schema of an ordinary chat application, as Alembic leaves it: integer
-- keys, cascading foreign keys, and a workspace that messages, reactions and the
-- members of channels know only through their channel. Nothing here knows of forge_comm.
--
-- Run it as the role that owns the application's tables.

CREATE TABLE users (
    id serial PRIMARY KEY,
    email varchar(255) NOT NULL,
    display_name varchar(100),
    hashed_password varchar(255),
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX ix_users_email ON users (email);

CREATE TABLE workspaces (
    id serial PRIMARY KEY,
    name varchar(255) NOT NULL,
    slug varchar(63) NOT NULL UNIQUE
);

CREATE TABLE memberships (
    id serial PRIMARY KEY,
    user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    role varchar(20) NOT NULL DEFAULT 'member',
    UNIQUE (user_id, workspace_id)
);

CREATE TABLE channels (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name varchar(100) NOT NULL,
    topic text,
    is_private boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, name)
);

CREATE TABLE channel_members (
    id serial PRIMARY KEY,
    channel_id integer NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    UNIQUE (channel_id, user_id)
);
CREATE INDEX ix_channel_members_user_id ON channel_members (user_id);

CREATE TABLE messages (
    id serial PRIMARY KEY,
    channel_id integer NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    body text NOT NULL,
    parent_id integer REFERENCES messages (id) ON DELETE CASCADE,
    deleted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_messages_channel_id ON messages (channel_id);
CREATE INDEX ix_messages_user_id ON messages (user_id);
CREATE INDEX ix_messages_parent_id ON messages (parent_id);

CREATE TABLE reactions (
    id serial PRIMARY KEY,
    message_id integer NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    emoji varchar(32) NOT NULL,
    UNIQUE (message_id, user_id, emoji)
);
CREATE INDEX ix_reactions_user_id ON reactions (user_id);
