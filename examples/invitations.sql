-- What an application does before there is a user, or where the user does not
-- belong yet: logging in, and joining a workspace by an invitation's code. Both
-- take a service context; here it is confined to functions that the application
-- may call, and that tell and do no more than that.
--
-- A superuser runs this once, after the tables of existing_app.sql are under
-- tenancy. chat_app owns them and is the application's role.

-- Nobody logs in as this role. It owns the functions, and has no rights but
-- those that they need; it is no superuser, and row security binds it.
CREATE ROLE chat_doorkeeper NOLOGIN;
SELECT forge_comm.grant_app('chat_doorkeeper');
GRANT EXECUTE ON FUNCTION forge_comm.set_service_context(text) TO chat_doorkeeper;
GRANT USAGE ON SCHEMA public TO chat_doorkeeper;

-- --------------------------------------------------------------- logging in

GRANT SELECT (id, email, hashed_password, is_active) ON public.users TO chat_doorkeeper;

-- The id of the user with this address, and what their password must match. To
-- be called first in a transaction: it is refused where somebody is logged in.
CREATE FUNCTION public.find_login(address text, OUT user_id integer, OUT hashed_password text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM forge_comm.set_service_context('log-in');
    SELECT u.id, u.hashed_password
      INTO user_id, hashed_password
      FROM public.users AS u
     WHERE u.email = address AND u.is_active;
    -- An error undoes what its block has done. Here that is the service
    -- context: whoever calls this function is left with none.
    RAISE EXCEPTION USING ERRCODE = 'FOUND';
EXCEPTION WHEN SQLSTATE 'FOUND' THEN
    RETURN;
END
$$;
COMMENT ON FUNCTION public.find_login(text) IS
    'Who has this address, before anybody is logged in';

-- -------------------------------------------------------------- invitations

CREATE TABLE public.invitations (
    id serial PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES public.workspaces (id) ON DELETE CASCADE,
    -- Of the code only this is kept, so that nobody who reads the table can
    -- use it. The code itself must be long and random: see invite().
    code_hash bytea NOT NULL UNIQUE,
    -- nobody is let in as more
    role varchar(20) NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'guest')),
    expires_at timestamptz NOT NULL DEFAULT now() + interval '7 days',
    accepted_by integer REFERENCES public.users (id) ON DELETE SET NULL,
    accepted_at timestamptz
);
CREATE INDEX ix_invitations_workspace_id ON public.invitations (workspace_id);
CREATE INDEX ix_invitations_accepted_by ON public.invitations (accepted_by);
ALTER TABLE public.invitations OWNER TO chat_app;

-- Those who run a workspace see and make its invitations, and nobody else's.
SET ROLE chat_app;
SELECT forge_comm.enable_tenancy('public.invitations', write_roles => '{owner,admin}');

-- Makes an invitation, by the caller's own rights, and returns its code, which
-- is nowhere else.
CREATE FUNCTION public.invite(workspace integer, role text DEFAULT 'member')
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- 244 random bits
    code text := replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
BEGIN
    INSERT INTO public.invitations (workspace_id, code_hash, role)
    VALUES (workspace, sha256(convert_to(code, 'UTF8')), invite.role);
    RETURN code;
END
$$;
COMMENT ON FUNCTION public.invite(integer, text) IS
    'Make an invitation to a workspace, and return its code';
RESET ROLE;

GRANT SELECT, UPDATE (accepted_by, accepted_at) ON public.invitations TO chat_doorkeeper;
GRANT INSERT (user_id, workspace_id, role) ON public.memberships TO chat_doorkeeper;
GRANT USAGE ON SEQUENCE public.memberships_id_seq TO chat_doorkeeper;

-- Lets the user into the workspace that the code is for, and returns its id.
-- To be called first in a transaction, instead of set_context(): the
-- application says who the user is, as it does there. Afterwards the context is
-- that user's in that workspace.
CREATE FUNCTION public.accept_invitation(code text, user_id integer)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    invitation record;
BEGIN
    PERFORM forge_comm.set_service_context('accepting an invitation');

    -- Of two who come at once the second waits here, and then finds the code used.
    UPDATE public.invitations AS i
       SET accepted_by = accept_invitation.user_id, accepted_at = now()
     WHERE i.code_hash = sha256(convert_to(code, 'UTF8'))
       AND i.accepted_at IS NULL AND i.expires_at > now()
    RETURNING i.workspace_id, i.role INTO invitation;
    IF NOT FOUND THEN
        -- The same words for wrong, used and outdated. This undoes the context, too.
        RAISE EXCEPTION 'there is no such invitation'
            USING ERRCODE = 'no_data_found',
                  HINT = 'Ask for a new one.';
    END IF;

    -- Who belongs there already gets a unique violation, and the code stays unused.
    INSERT INTO public.memberships (user_id, workspace_id, role)
    VALUES (accept_invitation.user_id, invitation.workspace_id, invitation.role);

    -- The scope can only narrow: this ends the service context for good.
    PERFORM forge_comm.set_context(accept_invitation.user_id, invitation.workspace_id);
    RETURN invitation.workspace_id;
END
$$;
COMMENT ON FUNCTION public.accept_invitation(text, integer) IS
    'Let a user into the workspace that an invitation is for';

-- ------------------------------------------------------- who may call what

-- A function is everybody's until that is revoked.
REVOKE EXECUTE ON FUNCTION public.find_login(text), public.invite(integer, text),
    public.accept_invitation(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.find_login(text), public.invite(integer, text),
    public.accept_invitation(text, integer) TO chat_app;
-- Owned by it, they run with its rights, not with those of who ran this file
GRANT CREATE ON SCHEMA public TO chat_doorkeeper;
ALTER FUNCTION public.find_login(text) OWNER TO chat_doorkeeper;
ALTER FUNCTION public.accept_invitation(text, integer) OWNER TO chat_doorkeeper;
REVOKE CREATE ON SCHEMA public FROM chat_doorkeeper;
