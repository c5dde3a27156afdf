"""Brings the schema of existing_app.sql under forge_comm.

A superuser runs this once before it, where chat_app is the role that owns the
tables, and is the application's, too:

    CREATE EXTENSION forge_comm;
    SELECT forge_comm.grant_owner('chat_app');
    SELECT forge_comm.grant_app('chat_app');
    SELECT forge_comm.use_memberships('memberships', role_column => 'role');

Should it stop half-way, run it again: what is enabled already is left alone.
"""
from alembic import op

revision = "7c1f0a3d9b52"
down_revision = None


def upgrade():
    # Parents first: a table gets its workspaces through the one above it
    op.execute(
        "SELECT forge_comm.enable_tenancy('workspaces', workspace_column => 'id', founding => true)"
    )
    op.execute("SELECT forge_comm.enable_tenancy('memberships', write_roles => '{owner,admin}')")
    op.execute("SELECT forge_comm.enable_tenancy('channels')")
    for table, via in (
        ("channel_members", "channel_id"),
        ("messages", "channel_id"),
        ("reactions", "message_id"),
    ):
        op.execute(f"SELECT forge_comm.enable_tenancy('{table}', via => '{via}')")
        # It commits each batch, so not in the migration's own transaction
        with op.get_context().autocommit_block():
            op.execute(f"CALL forge_comm.backfill('{table}')")

    op.execute("SELECT forge_comm.enable_directory('users')")
    op.execute(
        "SELECT forge_comm.enable_privacy('channels', private => 'is_private',"
        " members => 'channel_members', children => '{messages,reactions}')"
    )
    op.execute("SELECT forge_comm.enable_authorship('messages')")
    op.execute("SELECT forge_comm.enable_timestamps('messages')")
    op.execute("SELECT forge_comm.enable_soft_delete('messages')")
    op.execute("SELECT forge_comm.enable_messages('messages')")


def downgrade():
    op.execute("SELECT forge_comm.disable_messages('messages')")
    op.execute("SELECT forge_comm.disable_soft_delete('messages', drop_columns => true)")
    op.execute("SELECT forge_comm.disable_timestamps('messages', drop_columns => true)")
    op.execute("SELECT forge_comm.disable_authorship('messages')")
    op.execute("SELECT forge_comm.disable_privacy('channels')")
    op.execute("SELECT forge_comm.disable_directory('users')")
    # Children first
    for table in (
        "reactions",
        "messages",
        "channel_members",
        "channels",
        "memberships",
        "workspaces",
    ):
        op.execute(f"SELECT forge_comm.disable_tenancy('{table}', drop_column => true)")
