"""Sets the forge_comm context in every transaction of a SQLAlchemy session.

Copy the listener. The rest reads and deletes a message of create_chat_schema():

    python3 examples/sqlalchemy_context.py postgresql+asyncpg://app@localhost/shop 1

The last argument is the user who asks.
"""
import asyncio
import sys

from sqlalchemy import BigInteger, bindparam, event, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

# Bound, never pasted: the ids come from a token or a cookie
SET_CONTEXT = text(
    "SELECT forge_comm.set_context(user_id => :user_id, workspace_id => :workspace_id)"
).bindparams(
    bindparam("user_id", type_=BigInteger),
    bindparam("workspace_id", type_=BigInteger),
)


@event.listens_for(Session, "after_begin")
def set_context(session, transaction, connection):
    """A commit ends the context, so each transaction starts by setting it.

    A session without a user gets none, and then sees no guarded row.
    """
    if transaction.nested or "user_id" not in session.info:
        return
    connection.execute(
        SET_CONTEXT,
        {
            "user_id": session.info["user_id"],
            "workspace_id": session.info.get("workspace_id"),
        },
    )


async def main(url, user_id):
    engine = create_async_engine(url)
    # One session a request; "info" is where the request says who is asking
    async with AsyncSession(engine, info={"user_id": user_id}) as session:
        messages = (await session.execute(text("SELECT id, body FROM active_messages"))).all()
        print(messages)
        await session.commit()

        # A new transaction: the listener has set the context again
        for message in messages[:1]:
            deleted = await session.execute(
                text("DELETE FROM messages WHERE id = :id"), {"id": message.id}
            )
            print(deleted.rowcount, "deleted")
        await session.rollback()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
