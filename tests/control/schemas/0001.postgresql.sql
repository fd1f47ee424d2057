CREATE FUNCTION public.headgate_audit_is_kept() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            IF NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM audit) THEN RAISE EXCEPTION 'the audit log is append-only'; END IF;
            RETURN NEW;
        ELSIF TG_OP = 'UPDATE' THEN
            IF NEW.seq IS NOT DISTINCT FROM OLD.seq AND NEW.at IS NOT DISTINCT FROM OLD.at AND NEW.version IS NOT DISTINCT FROM OLD.version AND NEW.action IS NOT DISTINCT FROM OLD.action AND NEW.object_kind IS NOT DISTINCT FROM OLD.object_kind AND NEW.actor_kind IS NOT DISTINCT FROM OLD.actor_kind AND NEW.actor_digest IS NOT DISTINCT FROM OLD.actor_digest AND NEW.subject_digest IS NOT DISTINCT FROM OLD.subject_digest AND NEW.previous IS NOT DISTINCT FROM OLD.previous AND NEW.hash IS NOT DISTINCT FROM OLD.hash AND ((NEW.actor_id IS NOT DISTINCT FROM OLD.actor_id AND NEW.actor_tenant_id IS NOT DISTINCT FROM OLD.actor_tenant_id AND NEW.source IS NOT DISTINCT FROM OLD.source AND NEW.request_id IS NOT DISTINCT FROM OLD.request_id AND NEW.actor_salt IS NOT DISTINCT FROM OLD.actor_salt) OR (NEW.actor_id IS NULL AND NEW.actor_tenant_id IS NULL AND NEW.source IS NULL AND NEW.request_id IS NULL AND NEW.actor_salt IS NULL)) AND ((NEW.tenant_id IS NOT DISTINCT FROM OLD.tenant_id AND NEW.object_id IS NOT DISTINCT FROM OLD.object_id AND NEW.before IS NOT DISTINCT FROM OLD.before AND NEW.after IS NOT DISTINCT FROM OLD.after AND NEW.subject_salt IS NOT DISTINCT FROM OLD.subject_salt) OR (OLD.action <> 'audit.erase' AND NEW.tenant_id IS NULL AND NEW.object_id IS NULL AND NEW.before IS NULL AND NEW.after IS NULL AND NEW.subject_salt IS NULL)) THEN RETURN NEW; END IF;
        END IF;
        RAISE EXCEPTION 'the audit log is append-only';
    END $$;

CREATE FUNCTION public.headgate_credits_are_kept() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            IF NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM credit_entries) THEN RAISE EXCEPTION 'credits that are booked stay as they are'; END IF;
            RETURN NEW;
        ELSIF TG_OP = 'UPDATE' THEN
            IF NEW.seq IS NOT DISTINCT FROM OLD.seq AND NEW.id IS NOT DISTINCT FROM OLD.id AND NEW.customer IS NOT DISTINCT FROM OLD.customer AND NEW.kind IS NOT DISTINCT FROM OLD.kind AND NEW.amount_nano IS NOT DISTINCT FROM OLD.amount_nano AND NEW.expires_on IS NOT DISTINCT FROM OLD.expires_on AND NEW.note IS NOT DISTINCT FROM OLD.note AND NEW.ended IS NOT DISTINCT FROM OLD.ended AND NEW.created_at IS NOT DISTINCT FROM OLD.created_at AND NEW.created_by IS NOT DISTINCT FROM OLD.created_by AND OLD.detached_at IS NULL AND NEW.detached_at IS NOT NULL THEN RETURN NEW; END IF;
        END IF;
        RAISE EXCEPTION 'credits that are booked stay as they are';
    END $$;

CREATE FUNCTION public.headgate_invoice_is_kept() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            IF NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM invoices) THEN RAISE EXCEPTION 'an invoice that is issued stays as it is'; END IF;
            RETURN NEW;
        ELSIF TG_OP = 'UPDATE' THEN
            IF NEW.seq IS NOT DISTINCT FROM OLD.seq AND NEW.number IS NOT DISTINCT FROM OLD.number AND NEW.kind IS NOT DISTINCT FROM OLD.kind AND NEW.customer IS NOT DISTINCT FROM OLD.customer AND NEW.month IS NOT DISTINCT FROM OLD.month AND NEW.revision IS NOT DISTINCT FROM OLD.revision AND NEW.corrects IS NOT DISTINCT FROM OLD.corrects AND NEW.issued_at IS NOT DISTINCT FROM OLD.issued_at AND NEW.total_cents IS NOT DISTINCT FROM OLD.total_cents AND NEW.document IS NOT DISTINCT FROM OLD.document AND NEW.document_digest IS NOT DISTINCT FROM OLD.document_digest AND NEW.page IS NOT DISTINCT FROM OLD.page AND NEW.page_digest IS NOT DISTINCT FROM OLD.page_digest AND OLD.detached_at IS NULL AND NEW.detached_at IS NOT NULL THEN RETURN NEW; END IF;
        END IF;
        RAISE EXCEPTION 'an invoice that is issued stays as it is';
    END $$;

CREATE TABLE public.audit (
    seq bigint NOT NULL,
    at bigint NOT NULL,
    version bigint,
    action character varying(64) NOT NULL COLLATE pg_catalog."C",
    object_kind character varying(32) NOT NULL COLLATE pg_catalog."C",
    actor_kind character varying(32) NOT NULL COLLATE pg_catalog."C",
    actor_id character varying(128) COLLATE pg_catalog."C",
    actor_tenant_id character varying(64) COLLATE pg_catalog."C",
    source character varying(64) COLLATE pg_catalog."C",
    request_id character varying(64) COLLATE pg_catalog."C",
    actor_salt bytea,
    actor_digest bytea NOT NULL,
    tenant_id character varying(64) COLLATE pg_catalog."C",
    object_id character varying(256) COLLATE pg_catalog."C",
    before text,
    after text,
    subject_salt bytea,
    subject_digest bytea NOT NULL,
    previous bytea NOT NULL,
    hash bytea NOT NULL
);

CREATE TABLE public.credit_accounts (
    tenant_id character varying(64) NOT NULL COLLATE pg_catalog."C",
    since_day bigint NOT NULL,
    booked_nano bigint NOT NULL,
    ending text NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint
);

CREATE TABLE public.credit_entries (
    seq bigint NOT NULL,
    id character varying(64) NOT NULL COLLATE pg_catalog."C",
    customer character varying(64) NOT NULL COLLATE pg_catalog."C",
    kind character varying(16) NOT NULL COLLATE pg_catalog."C",
    amount_nano bigint NOT NULL,
    expires_on bigint,
    note character varying(256) NOT NULL COLLATE pg_catalog."C",
    ended bigint,
    created_at bigint NOT NULL,
    created_by character varying(128) NOT NULL COLLATE pg_catalog."C",
    detached_at bigint,
    CONSTRAINT ck_credit_entries_amount_nano CHECK (((((kind)::text = ANY ((ARRAY['prepaid'::character varying, 'granted'::character varying])::text[])) AND (amount_nano > 0)) OR (((kind)::text = 'expired'::text) AND (amount_nano <= 0)) OR (((kind)::text = 'adjustment'::text) AND (amount_nano <> 0)))),
    CONSTRAINT ck_credit_entries_ended CHECK ((((kind)::text = 'expired'::text) = (ended IS NOT NULL))),
    CONSTRAINT ck_credit_entries_expires_on CHECK (((expires_on IS NULL) OR ((kind)::text = ANY ((ARRAY['prepaid'::character varying, 'granted'::character varying])::text[])))),
    CONSTRAINT ck_credit_entries_kind CHECK (((kind)::text = ANY ((ARRAY['prepaid'::character varying, 'granted'::character varying, 'adjustment'::character varying, 'expired'::character varying])::text[])))
);

CREATE TABLE public.data_keys (
    id character varying(64) NOT NULL COLLATE pg_catalog."C",
    wrapped bytea NOT NULL,
    wrapped_by character varying(256) NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL,
    wrapped_at bigint NOT NULL
);

CREATE TABLE public.directory_version (
    id bigint NOT NULL,
    version bigint NOT NULL,
    compacted bigint NOT NULL,
    CONSTRAINT ck_directory_version_one_row CHECK ((id = 1))
);

CREATE TABLE public.events (
    id character varying(64) NOT NULL COLLATE pg_catalog."C",
    tenant_id character varying(256) NOT NULL COLLATE pg_catalog."C",
    at bigint NOT NULL,
    body text NOT NULL
);

CREATE TABLE public.headgate_schema (
    version_num character varying(32) NOT NULL
);

CREATE TABLE public.hosts (
    id character varying(64) NOT NULL COLLATE pg_catalog."C",
    name character varying(256) NOT NULL COLLATE pg_catalog."C",
    first_seen_at bigint NOT NULL,
    seen_at bigint NOT NULL,
    usage_until bigint,
    usage_place character varying(256) COLLATE pg_catalog."C"
);

CREATE TABLE public.idempotency_keys (
    key_digest bytea NOT NULL,
    tenant_id character varying(64) COLLATE pg_catalog."C",
    body_digest bytea NOT NULL,
    status bigint NOT NULL,
    answer bytea NOT NULL,
    expires_at bigint NOT NULL
);

CREATE TABLE public.invoices (
    seq bigint NOT NULL,
    number character varying(64) NOT NULL COLLATE pg_catalog."C",
    kind character varying(16) NOT NULL COLLATE pg_catalog."C",
    customer character varying(256) NOT NULL COLLATE pg_catalog."C",
    month character varying(7) NOT NULL COLLATE pg_catalog."C",
    revision bigint NOT NULL,
    corrects bigint,
    issued_at bigint NOT NULL,
    total_cents bigint NOT NULL,
    document text NOT NULL,
    document_digest bytea NOT NULL,
    page text NOT NULL,
    page_digest bytea NOT NULL,
    detached_at bigint,
    CONSTRAINT ck_invoices_corrects CHECK ((((kind)::text = 'credit_note'::text) = (corrects IS NOT NULL))),
    CONSTRAINT ck_invoices_kind CHECK (((kind)::text = ANY ((ARRAY['invoice'::character varying, 'credit_note'::character varying])::text[])))
);

CREATE TABLE public.key_uses (
    tenant_id character varying(64) NOT NULL COLLATE pg_catalog."C",
    key_id character varying(64) NOT NULL COLLATE pg_catalog."C",
    used_at bigint NOT NULL
);

CREATE TABLE public.limits (
    tenant_id character varying(64) NOT NULL COLLATE pg_catalog."C",
    subject character varying(16) NOT NULL COLLATE pg_catalog."C",
    subject_id character varying(64) NOT NULL COLLATE pg_catalog."C",
    limits text NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint,
    CONSTRAINT ck_limits_subject CHECK (((subject)::text = ANY ((ARRAY['tenant'::character varying, 'user'::character varying])::text[])))
);

CREATE TABLE public.lost_invoices (
    prefix character varying(64) NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    noted_at bigint NOT NULL
);

CREATE TABLE public.memberships (
    tenant_id character varying(64) NOT NULL COLLATE pg_catalog."C",
    user_id character varying(64) NOT NULL COLLATE pg_catalog."C",
    role character varying(16) NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint,
    CONSTRAINT ck_memberships_role CHECK (((role)::text = ANY ((ARRAY['owner'::character varying, 'developer'::character varying, 'analyst'::character varying, 'read-only'::character varying])::text[])))
);

CREATE TABLE public.model_grants (
    tenant_id character varying(64) NOT NULL COLLATE pg_catalog."C",
    model character varying(128) NOT NULL COLLATE pg_catalog."C",
    created_by character varying(128) NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint
);

CREATE TABLE public.plans (
    id character varying(64) NOT NULL COLLATE pg_catalog."C",
    display_name character varying(256) NOT NULL COLLATE pg_catalog."C",
    limits text NOT NULL,
    zones text,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint
);

CREATE TABLE public.provider_credentials (
    provider character varying(64) NOT NULL COLLATE pg_catalog."C",
    field character varying(64) NOT NULL COLLATE pg_catalog."C",
    ciphertext bytea NOT NULL,
    nonce bytea NOT NULL,
    data_key_id character varying(64) COLLATE pg_catalog."C",
    created_by character varying(128) NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint,
    CONSTRAINT ck_provider_credentials_data_key CHECK (((data_key_id IS NOT NULL) OR (deleted_at IS NOT NULL))),
    CONSTRAINT ck_provider_credentials_nonce CHECK ((length(nonce) = 12))
);

CREATE TABLE public.tenant_deletions (
    id character varying(64) NOT NULL COLLATE pg_catalog."C",
    tenant_id character varying(64) COLLATE pg_catalog."C",
    fingerprint bytea NOT NULL,
    requested_by character varying(128) NOT NULL COLLATE pg_catalog."C",
    requested_at bigint NOT NULL,
    done text NOT NULL,
    finished_at bigint
);

CREATE TABLE public.tenants (
    id character varying(64) NOT NULL COLLATE pg_catalog."C",
    display_name character varying(256) NOT NULL COLLATE pg_catalog."C",
    plan character varying(64) COLLATE pg_catalog."C",
    zones text,
    pin_targets boolean NOT NULL,
    store_prompts boolean NOT NULL,
    disabled boolean NOT NULL,
    usage_retention_days bigint,
    metadata text NOT NULL,
    created_by character varying(128) NOT NULL COLLATE pg_catalog."C",
    deleting_at bigint,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint
);

CREATE TABLE public.usage_gateways (
    id character varying(64) NOT NULL COLLATE pg_catalog."C",
    host_id character varying(64) COLLATE pg_catalog."C",
    place character varying(256) COLLATE pg_catalog."C",
    run bigint,
    batch bigint,
    noted_at bigint NOT NULL
);

CREATE TABLE public.users (
    id character varying(64) NOT NULL COLLATE pg_catalog."C",
    issuer character varying(512) NOT NULL COLLATE pg_catalog."C",
    subject character varying(256) NOT NULL COLLATE pg_catalog."C",
    email character varying(320) COLLATE pg_catalog."C",
    display_name character varying(256) COLLATE pg_catalog."C",
    platform_role character varying(16) COLLATE pg_catalog."C",
    disabled boolean NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint,
    CONSTRAINT ck_users_platform_role CHECK (((platform_role IS NULL) OR ((platform_role)::text = 'admin'::text)))
);

CREATE TABLE public.virtual_keys (
    id character varying(64) NOT NULL COLLATE pg_catalog."C",
    tenant_id character varying(64) COLLATE pg_catalog."C",
    name character varying(64) NOT NULL COLLATE pg_catalog."C",
    prefix character varying(16) NOT NULL COLLATE pg_catalog."C",
    digest bytea NOT NULL,
    pepper_id character varying(64) NOT NULL COLLATE pg_catalog."C",
    role character varying(16) NOT NULL COLLATE pg_catalog."C",
    endpoints text,
    models text,
    limits text,
    metadata text NOT NULL,
    created_by character varying(128) NOT NULL COLLATE pg_catalog."C",
    expires_at bigint,
    valid_until bigint,
    rotated_from character varying(64) COLLATE pg_catalog."C",
    disabled boolean NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint,
    CONSTRAINT ck_virtual_keys_digest CHECK ((length(digest) = 32)),
    CONSTRAINT ck_virtual_keys_role CHECK (((((role)::text = 'admin'::text) AND (tenant_id IS NULL)) OR (((role)::text = ANY ((ARRAY['owner'::character varying, 'developer'::character varying, 'analyst'::character varying, 'read-only'::character varying])::text[])) AND (tenant_id IS NOT NULL))))
);

INSERT INTO public.audit VALUES (1, 1795331992027, 1, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xe1cd8ed78141373163c8249bf9257310b0b4c19a52156489ec80eb7ee6ced2a1', '\xbf9d545bd7d19c4e58e5c1b6d6ad6810b9cc98a5d8520df1ccb83a02484f0ec1', 'acme', 'acme', NULL, '{"created_at":"2026-11-22T07:19:52.027Z","created_by":"key_admin","deleted_at":null,"deleting_at":null,"disabled":false,"display_name":"Acme","id":"acme","metadata":{"größe":"ü"},"pin_targets":false,"plan":"gold","store_prompts":false,"updated_at":"2026-11-22T07:19:52.027Z","usage_retention_days":30,"version":1,"zones":["eu"]}', '\x1e58b085dc89b62c1ca1f80b0a3c5b5bcb54beca1931e18fdc17816a85f69a10', '\x6728bacf860d9b657f47cf8ad7e6af2c734ffd77994fe33dd11be8bf2c2aec54', '\x0000000000000000000000000000000000000000000000000000000000000000', '\x221a0e353ed70f8f7332a3a1dda67f08daf2ecc26e547a2ba19dfb3b077b97e8');
INSERT INTO public.audit VALUES (3, 1795331992041, 3, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x641b116ac13bdd70c53bd386f7e8f7f527db94fa264a50a2005c717e52b08421', '\xe6da350fa9bc486c67f51ffb3c96a33e6b0cec52cae8254b045ce23edf579018', 'acme', 'user_prdlr6ekisibp4nv2bmq', NULL, '{"role":"owner"}', '\xfe386ba1eafbfbd955f590b6436243d67a151fc7eaae1d0e2a251abff097099b', '\x587a4ceada44d5d69c451bddfb952959c305756f27f6a70cd2bac64482dc3f57', '\xb54d13e177e0a81ae126436754ee945c84370d002d7a4286f6b6a3ce73e231c1', '\xb3becc29b00af486436fb97ac1db1946ddd9cb6c45d0aa7f68e3ddfdd46063b3');
INSERT INTO public.audit VALUES (5, 1795331992053, 5, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xc31edda3b0670a6ae40b57058b670374647cc47e09b808421fd45b46c13b2093', '\xdc802f54e93740aa6d01ea67507694d8dccdfb305333fe34e60b334dc634eeca', 'acme', 'key_pvx6h2jwfpswsibuo7vq', NULL, '{"created_at":"2026-11-22T07:19:52.053Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":"2027-01-31T00:00:00.000Z","id":"key_pvx6h2jwfpswsibuo7vq","limits":null,"metadata":{},"models":null,"name":"ci","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T07:19:52.053Z","valid_until":null,"version":5}', '\x21bee474903a4d868359063035b62177831c54db681df02cef3cbe3529c54831', '\x2470a4c654fedc18160a742089b1b44bf304a178927f100256962cfd3abd3cc9', '\x0f89aea0d94753c8605072008957f313419aaf406f6708b18256d1df8198fa70', '\xe40fc788ac0834fe4ee361f1f5ed7c30c97290dc61bdfb091b64c71f6a2a1155');
INSERT INTO public.audit VALUES (6, 1795331992058, 6, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xa220b112c82f8a5d95ee73d91a0a239e83108538a5efaf188e4e8fa513e960d5', '\x637f262914fed54b2b536694a72802555851eedd3f513b4eb3694b88e345dade', 'acme', 'key_lwczqqfnfny27tdkkvyu', NULL, '{"created_at":"2026-11-22T07:19:52.058Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_lwczqqfnfny27tdkkvyu","limits":null,"metadata":{},"models":null,"name":"old","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T07:19:52.058Z","valid_until":null,"version":6}', '\x4fd66dcc3591ae437e8f4ada3630f6a4f605ade1696fb65b7c8f74f67ee08208', '\x30d603f8367d6e42d2b2595ec1260146d54c08fd8909b0852e277e61048f4887', '\xe40fc788ac0834fe4ee361f1f5ed7c30c97290dc61bdfb091b64c71f6a2a1155', '\xf8694066db0d1f07a4d0413632de7f0092eb9a201911efd649d3f8fcfcfc6256');
INSERT INTO public.audit VALUES (7, 1795331992061, 7, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xb07892330a2aafa7c0f0060d315ee1742165b16df862861785a90927ab9856d8', '\x6769b36489b76b81684fae517e29602f1a41f6d9b5f6e1994ff3034617ee740e', NULL, 'key_wrkbpc5dige26z6cka7s', NULL, '{"created_at":"2026-11-22T07:19:52.061Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_wrkbpc5dige26z6cka7s","limits":null,"metadata":{},"models":null,"name":"admin","pepper_id":"p1","prefix":"hg-Ab3xy","role":"admin","rotated_from":null,"tenant_id":null,"updated_at":"2026-11-22T07:19:52.061Z","valid_until":null,"version":7}', '\x88d5bad13230c182d616d42fe6e9525e333c75352d7c1e8743e67e48c9f6b2d1', '\xdbc86fab89ab3c4f22dbba31f282e1610e73442cb03648b805ed29f89f74a868', '\xf8694066db0d1f07a4d0413632de7f0092eb9a201911efd649d3f8fcfcfc6256', '\x843f03413a6e07a644da00d24215a551fda69d7e12eb23e4e13c8ea8d60ecb7d');
INSERT INTO public.audit VALUES (11, 1795331992067, 9, 'invoice.lost', 'invoice', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x02565b499ff99766d47be74a971c90e4f85c74f415d5239e10196318813ec901', '\xa6836235219ca723b4dbef8f62dfeff8b06cea6a40162b6da7514716d0c4942d', NULL, 'OLD-000007', NULL, '{"number":"OLD-000007"}', '\xdc6980f51819da672347badb4ecc12c89f7abfe25f202943fa6809a6ddeebab3', '\x18f7a8d3e2ab93694c4e60705bdd6dd1abb26c7009d3a6dd11846de031b015b2', '\x6dcbc6f3f806e6e13b8fe1210608313efd09b9f40f7fce9b083b103b902b9448', '\x056502f7d24d96484887dce36b13e41454b5718f39d1069622ead5c69ac87b6a');
INSERT INTO public.audit VALUES (13, 1795331992067, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xb9ade56fc3d711d42ab52ef92ca9b687e297a1108ed26ee90d2083db48eb6bf0', '\x2d0f9f5569005a7538a36e3a1100e59e06dbc81126be76cfaf43712a64e3750a', 'acme', 'credit_fftloimzfyy46loeacxm', NULL, '{"amount_nano":100000000000,"ended":null,"expires_on":"2027-01-31","kind":"prepaid","note":""}', '\xe6753f4c2b1d26f03f932df189a7250d1e28781e6b4ba1d78c3ae601d7343839', '\x2d06e65748c9d9fc1cccfdbc7e536c55f6dfea3a4421873ef54d3f55327b4dc4', '\x1d582df853121ae769d9a064d9f511c8c34e7444f00f4b23991390f7a2b45a26', '\xf19e5607c4f7ea12dd6bb0aa31017c000c16a66778eea9498b0be9ca8b72bae4');
INSERT INTO public.audit VALUES (14, 1795331992067, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x010e19fde1abb47df2dbf65513036881b015e320dbb593ecf4ac082b539295c8', '\x63b6a5291b33f68a1921587c5fa68503a4a37ed9fc3c32be944b15618dab88e5', 'acme', 'credit_lkajwrbsascx7f4frdii', NULL, '{"amount_nano":100000000000,"ended":null,"expires_on":"2100-01-31","kind":"prepaid","note":""}', '\xf23da53b3886d87a888bd268c759b844ca7ea916bbb75be7e25110d605bbea41', '\xa1998763ccdd7b5e7f15c030d92725f65f1c659bceade83122b118c2cc76c483', '\xf19e5607c4f7ea12dd6bb0aa31017c000c16a66778eea9498b0be9ca8b72bae4', '\x85cb5f0f73bbf988497bf992c358296d18360466753f842e2ff7b48177b54f60');
INSERT INTO public.audit VALUES (4, 1795331992048, 4, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x04c430fd6ecc69bf8a7616b8b8806791ec5b86a7929aeb757c7ee0bf8aa0055e', '\xccf115697239347b10b0b5a1678e260607e8a88c399f400a47d342b23633cc5c', NULL, NULL, NULL, NULL, NULL, '\xfed4ba288a768b79f0baa801928ec721f532b99d8b7f1a0dcfc88cd33dd6142d', '\xb3becc29b00af486436fb97ac1db1946ddd9cb6c45d0aa7f68e3ddfdd46063b3', '\x0f89aea0d94753c8605072008957f313419aaf406f6708b18256d1df8198fa70');
INSERT INTO public.audit VALUES (2, 1795331992037, 2, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x5854bd7257b21ab0a060390aa317a83886ed8b845213ce6f779a37df782ec5c0', '\x2fe9faebb58c6b6f593a914caad77b2bd00f17235d26cd1b0af6f7ed35672a6b', NULL, NULL, NULL, NULL, NULL, '\xb37783d6ce52dbec4f96e1fd26401f55972ef6eafe4f68e76e203ed5df0fad55', '\x221a0e353ed70f8f7332a3a1dda67f08daf2ecc26e547a2ba19dfb3b077b97e8', '\xb54d13e177e0a81ae126436754ee945c84370d002d7a4286f6b6a3ce73e231c1');
INSERT INTO public.audit VALUES (15, 1795331992067, 9, 'credits.expire', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x87a20d156ee503cbc6092a200e2fa2eee040e52a73e32ce230807beecf4eb17c', '\x84de65a0b11833d6253940cf0c322f258bf75c641dda19b56254bc7c22a3a291', 'acme', 'credit_6q2hebb6t4d7xfz35sxk', NULL, '{"amount_nano":-1,"ended":2,"expires_on":null,"kind":"expired","note":""}', '\x5668880e63ec97f7d52f9ca0b5a4cb8993902d48bb3842b36efe88c17b858adb', '\xccbdf01ac00da083960fbb70d7c8cc3facb2ef4474b0eae57a0ca55aa38f1265', '\x85cb5f0f73bbf988497bf992c358296d18360466753f842e2ff7b48177b54f60', '\x9acb2b0fda1685518d673c512ed7ff057de7d1adeff94f7635f85f44cd44bc11');
INSERT INTO public.audit VALUES (16, 1795331992067, 9, 'test.fill', 'directory', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x968a019a9d65334ff780d5c48ead2d1b41ab7df0b1bd8a623385b308f2d61352', '\xf7673063d7b0edb433e0bc4d8b99a4f8732ceecf9fed3cb3f7895b3f7ee5ae1f', 'acme', NULL, '{"a":null}', '{"ciphertext":"***","created_by":"key_admin","data_key_id":"dk_1","nonce":"***"}', '\x5189e806a0e098a21ca5c32939c9d44846c20c31a55822be5cd2d18555a988c2', '\xd7634fad20a6c5633a2be0dfd4721352bbf4c690a160be85a7939774ded3ce49', '\x9acb2b0fda1685518d673c512ed7ff057de7d1adeff94f7635f85f44cd44bc11', '\x8515f0cb26a2d7dbde479bd7851649555f243cfab87dafea1815802d8cb7dc0e');
INSERT INTO public.audit VALUES (17, 1795331992121, 10, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xeec64c179a0ddd24ab919f917b11a20dd1df171581ddce5ef289cc2e5c60f976', '\xc0b1b8bc5d6bb9f78da3e548ce93c49abc01154733404b921760559264b76890', NULL, 'del_k7gr5qzxjj2maldilbsv', NULL, '{"fingerprint":"4b3df5a726c9dd6e8093d70beb41e53eef28005cba5cb2997bbe4f13d2dafc34"}', '\x84e69d32e9f147c7db0cf223d2c1c7c92a7f92e227a46a4ea9eedcc88e383b79', '\x83bd18ca4967a0097244eaa1c4b8024e00d9843d00eb9f4d69f9453f83464276', '\x8515f0cb26a2d7dbde479bd7851649555f243cfab87dafea1815802d8cb7dc0e', '\x463a0969a5bb4aa22901c3dbffbff69dd6d0304a541df21c1c1f983257795062');
INSERT INTO public.audit VALUES (18, 1795331992130, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x389f76c23abfd2a9a1ab837e4f2ab787d6e63736bf173dfb8d99fdf01ee18ebd', '\x95d7403ea19d63d4bb86b70452ea053ca870fec0d5c15c66314c11a5cd623b84', NULL, NULL, NULL, '{"subject":[[4,4]]}', '\x308cc51063dd1329142dda2e7ea084c99f24bf37df7f947d76b362ac778095c5', '\x3f71cdeed5178208a0f749475030350f45579e131e3b62cd8faa9be54a0fe9b3', '\x463a0969a5bb4aa22901c3dbffbff69dd6d0304a541df21c1c1f983257795062', '\xb05c32dd18c8f6996e798e0a2f499d3efc3160a9416f43b2ae29c71029468489');
INSERT INTO public.audit VALUES (19, 1795331992136, 11, 'user.erase', 'user', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x389800604205e030108271a62180f036ac2508644ec1e3d11d9aa0a8742d9acc', '\x62c0339bed52496f4f90a4130e36a023d59dd4a2d35d21d73ea726550b14a4f2', NULL, NULL, NULL, NULL, '\x82c837e59dccb00e33f8257da68dfb6cdf3466ec62d9a19646aa944b536c5c5a', '\xc5595578f85937b13ce5eaa9bb39f488b6ef9f91cc13cf41ee0de08fc4883a9b', '\xb05c32dd18c8f6996e798e0a2f499d3efc3160a9416f43b2ae29c71029468489', '\xe3e3690baa2f86843a4d14f506279ca7c8daacff83ae29e3709232feeeb8fd96');
INSERT INTO public.audit VALUES (8, 1795331992064, 8, 'key.create', 'key', 'user', NULL, NULL, NULL, NULL, NULL, '\x6af9224c29def24026d81793229b5225222f669ab6d86967a17d538b8ecf9a04', NULL, NULL, NULL, NULL, NULL, '\x31f63a4bd2694d78ffbc32aa9e229de8519337df85ac376b7108ae8964e7acc9', '\x843f03413a6e07a644da00d24215a551fda69d7e12eb23e4e13c8ea8d60ecb7d', '\x86076906a82dc197ccc59a66cefed58624a7dbe0eca62acf8771d40665ca4f01');
INSERT INTO public.audit VALUES (9, 1795331992067, 9, 'invoice.issue', 'invoice', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x103d28dc8847041ec9b0f86164755b12d4ee5263e82e99c87865956f77fa1c57', '\x825924e9335183d99bb6b891539ba8b06f403974538fa64332dae589d0ff7d6f', NULL, NULL, NULL, NULL, NULL, '\x09790c14b76391244a7241c5f0bbacb53262afa72e7943d82c542fdb8dd0b09a', '\x86076906a82dc197ccc59a66cefed58624a7dbe0eca62acf8771d40665ca4f01', '\x9954f4fe84b2333d27969ddb86c9590b9ec250d0e843b648d89c47239f1719ba');
INSERT INTO public.audit VALUES (10, 1795331992067, 9, 'credit_note.issue', 'credit_note', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xec4f19a909fa21088512d3e0a3e4530f898a2238be167506d92a2374fff6fa96', '\x67ce9cb394ea04bd8af7a64fa0357c88ddacb682ca65fde28f5271a0c9b5fb2b', NULL, NULL, NULL, NULL, NULL, '\x60b64faed463d6947ae702fc8cdf77ec9241a1849120162b9e4f26f602e41285', '\x9954f4fe84b2333d27969ddb86c9590b9ec250d0e843b648d89c47239f1719ba', '\x6dcbc6f3f806e6e13b8fe1210608313efd09b9f40f7fce9b083b103b902b9448');
INSERT INTO public.audit VALUES (12, 1795331992067, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x6b974032012ee36413c7037aeaa4b5b7fe7a31117c7967d1426761040e0ee77e', '\xa3e45de66c4e69122cf811d7d956c6a24611c85833bf30bb21923dc6f871831d', NULL, NULL, NULL, NULL, NULL, '\x2b8e719d7cbadd5cfdd8679da07e5b5f4f2dc63ee4ddbdb037039be0dcebd4af', '\x056502f7d24d96484887dce36b13e41454b5718f39d1069622ead5c69ac87b6a', '\x1d582df853121ae769d9a064d9f511c8c34e7444f00f4b23991390f7a2b45a26');
INSERT INTO public.audit VALUES (20, 1795331992141, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xf3c3a711a9d5b62c4642ca673a5b55a2dc388e9b8faf5652793a6cbcbdda48af', '\xadd1ff5703e65ba0b5105f4d8d23f90a7e603701f3a636dcc0475367e59b1cca', NULL, NULL, NULL, '{"actor":[[8,8]],"subject":[[2,2],[8,10],[12,12]]}', '\xd4f81952b5366902a06d8eb1a8604010dcd71bdac6f9c73b7aec9ab99d2e25e4', '\x39f446f72c405a6fa0ecffd5b930442943b57f38ab7066cfd6efd92c49f57a08', '\xe3e3690baa2f86843a4d14f506279ca7c8daacff83ae29e3709232feeeb8fd96', '\xc7b1bada5878a390130356a6dbaea8b84be0feab006f676b61a6e50535e380fa');
INSERT INTO public.audit VALUES (21, 1795331992148, 12, 'tenant.erase', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x27acad8994c5c64335496a49599e32d8b6ef41490292684418f4cd0776bbc395', '\xdb68b4520b4f022799bd930e18385fcd9c3bf39f41825bd0df0b56cfab57eab4', NULL, NULL, NULL, '{"rows":3}', '\xd68329791560f21be7de3c98af0e4f3a75198c2eee915d7406986ec1d77281b6', '\x5bac9c775b58b49889b3bf87d265b7f6eee528c0bae6c7268c1a46b348592675', '\xc7b1bada5878a390130356a6dbaea8b84be0feab006f676b61a6e50535e380fa', '\xdfabf2261c6993e258d7c736639cf3aed8ac28253f9cbf70473146f9467e6318');
INSERT INTO public.audit VALUES (22, 1795331992165, NULL, 'tenant.deleted', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x4103080aebcd9ccbeb44eea3ea811eed40dadea395021c5a36bb5ee475da2566', '\x50397d7bdc526a29c82d5d1c0eef95ba7a1b62d3925e2387a0e1855c135cedef', NULL, 'del_k7gr5qzxjj2maldilbsv', NULL, '{"stores":[]}', '\x0975f7bbd4a84e0657da5c7db98ff48b5924dfb7991d18bf85b9132a297835a2', '\xb94151f3aff4a0226ad9145f8b53f7128de1d2a8c10e5e3cf9d888ecdbcd1832', '\xdfabf2261c6993e258d7c736639cf3aed8ac28253f9cbf70473146f9467e6318', '\x740a4988dcf9772c174f3eb0d355d00553679276b937fad6d7fda00199484a65');
INSERT INTO public.audit VALUES (23, 1795331992165, NULL, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x69ed652ddf0cacda670ddda6722f321c8274a564104ea632217b668761dbdec4', '\xe83bb69e1f7de1b2c9d9e6b44d8605c782c170abe4bbd0c5e6d7fd5831acb03f', NULL, 'del_jsx4e437uxctjt7lauzb', NULL, '{"fingerprint":"87e2cc256fb77a7efc14a817d11fd7210fd62b4077c0c28e28228998b4eb6232"}', '\xd4f1603971f17b77012bf760c70ee104016f6b3d221a7f7622bd82fb8803760a', '\xd45b0659856d36367e2d1a85f9580c0a1fb860ebc8e378f1e8266d8ec8fdd15a', '\x740a4988dcf9772c174f3eb0d355d00553679276b937fad6d7fda00199484a65', '\xf44339b0b062ae5cace5c4dfc84fd503bea09c0e1c72e12c2215369dcefe1c77');

INSERT INTO public.credit_accounts VALUES ('acme', 20779, 199999999999, '[[4105123200000,100000000000]]', 9, 1795331992067, 1795331992067, NULL);
INSERT INTO public.credit_accounts VALUES ('gone', 0, 0, '[]', 12, 1795331992067, 1795331992148, 1795331992148);

INSERT INTO public.credit_entries VALUES (2, 'credit_fftloimzfyy46loeacxm', 'acme', 'prepaid', 100000000000, 20849, '', NULL, 1795331992067, 'key_admin', NULL);
INSERT INTO public.credit_entries VALUES (3, 'credit_lkajwrbsascx7f4frdii', 'acme', 'prepaid', 100000000000, 47512, '', NULL, 1795331992067, 'key_admin', NULL);
INSERT INTO public.credit_entries VALUES (4, 'credit_6q2hebb6t4d7xfz35sxk', 'acme', 'expired', -1, NULL, '', 2, 1795331992067, 'system:credits', NULL);
INSERT INTO public.credit_entries VALUES (1, 'credit_di55gzipaoryiekqrksb', 'gone', 'prepaid', 100000000000, NULL, 'ü', NULL, 1795331992067, 'key_admin', 1795331992148);

INSERT INTO public.data_keys VALUES ('dk_1', '\x00000000000000000000000000000000000000000000000000000000000000000000000000000000', 'file:data-key', 1795331992067, 1795331992067);

INSERT INTO public.directory_version VALUES (1, 12, 0);

INSERT INTO public.events VALUES ('msg_1', 'acme', 1795331992067, '{"type":"invoice.issued"}');

INSERT INTO public.headgate_schema VALUES ('0001');

INSERT INTO public.hosts VALUES ('host_1', 'gateway-1', 1795331992114, 1795331992114, 1796173200000, 'at clickhouse:8123/headgate');

INSERT INTO public.idempotency_keys VALUES ('\x34301acb2d391123f50568586e9dae7610fd718cc23b757798bd0d03a294efb4', 'acme', '\x0000000000000000000000000000000000000000000000000000000000000000', 201, '\x7b7d', 1795418392067);

INSERT INTO public.invoices VALUES (2, 'INV-000002', 'credit_note', 'gone', '2026-11', 1, 1, 1795331992067, -1250, '{}', '\x44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', '<p></p>', '\xfe04a9dc88d3f3be8d4f6bc63a9a80f45a4c6d8460e7551dab849457c091920a', 1795331992148);
INSERT INTO public.invoices VALUES (1, 'INV-000001', 'invoice', 'gone', '2026-11', 1, NULL, 1795331992067, 1250, '{"number":"INV-000001"}', '\xf73b835b2463897f8cef3843bfbceb6d05c2137ae02354ce7a525b8deb3de975', '<p>ü</p>', '\x3f08d999915773475441df32aaf6d7f773b76fe587502b36fb6fcf45aee9e5cc', 1795331992148);

INSERT INTO public.key_uses VALUES ('acme', 'key_pvx6h2jwfpswsibuo7vq', 1796083200000);

INSERT INTO public.limits VALUES ('acme', 'tenant', 'acme', '{"rpm":9}', 9, 1795331992067, 1795331992067, NULL);

INSERT INTO public.lost_invoices VALUES ('OLD-', 7, 1795331992067);

INSERT INTO public.memberships VALUES ('acme', 'user_prdlr6ekisibp4nv2bmq', 'owner', 3, 1795331992041, 1795331992041, NULL);
INSERT INTO public.memberships VALUES ('gone', 'user_ronf6gzxd7fczq7ggfom', 'developer', 11, 1795331992048, 1795331992136, 1795331992136);

INSERT INTO public.model_grants VALUES ('acme', 'chat', 'key_admin', 9, 1795331992067, 1795331992067, NULL);

INSERT INTO public.plans VALUES ('gold', 'Gold', '{"rpm":60,"tpm":{"limit":5,"soft":4}}', NULL, 9, 1795331992067, 1795331992067, NULL);

INSERT INTO public.provider_credentials VALUES ('openai', 'api_key', '\x010203', '\x000102030405060708090a0b', 'dk_1', 'key_admin', 9, 1795331992067, 1795331992067, NULL);

INSERT INTO public.tenant_deletions VALUES ('del_k7gr5qzxjj2maldilbsv', NULL, '\x4b3df5a726c9dd6e8093d70beb41e53eef28005cba5cb2997bbe4f13d2dafc34', 'key_admin', 1795331992121, '[]', 1795331992165);
INSERT INTO public.tenant_deletions VALUES ('del_jsx4e437uxctjt7lauzb', 'another', '\x87e2cc256fb77a7efc14a817d11fd7210fd62b4077c0c28e28228998b4eb6232', 'key_admin', 1795331992165, '[]', NULL);

INSERT INTO public.tenants VALUES ('acme', 'Acme', 'gold', '["eu"]', false, false, false, 30, '{"größe":"ü"}', 'key_admin', NULL, 1, 1795331992027, 1795331992027, NULL);
INSERT INTO public.tenants VALUES ('gone', '', NULL, NULL, false, false, true, NULL, '{}', '', 1795331992121, 12, 1795331992037, 1795331992148, 1795331992148);

INSERT INTO public.usage_gateways VALUES ('gateway-1', 'host_1', NULL, 9, 1152921504606846976, 1796173200000);

INSERT INTO public.users VALUES ('user_prdlr6ekisibp4nv2bmq', 'https://id.example', 'alice', 'alice@example.org', NULL, NULL, false, 3, 1795331992041, 1795331992041, NULL);
INSERT INTO public.users VALUES ('user_ronf6gzxd7fczq7ggfom', '', '', NULL, NULL, NULL, true, 11, 1795331992048, 1795331992136, 1795331992136);

INSERT INTO public.virtual_keys VALUES ('key_pvx6h2jwfpswsibuo7vq', 'acme', 'ci', 'hg-Ab3xy', '\xc99cb099a689264a9665eb60bf76d3d04b78a69a3a7d983e597a60a5b328c4e4', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', 1801353600000, NULL, NULL, false, 5, 1795331992053, 1795331992053, NULL);
INSERT INTO public.virtual_keys VALUES ('key_wrkbpc5dige26z6cka7s', NULL, 'admin', 'hg-Ab3xy', '\xef6604e49ca738f30aa532a3512e0fc7f2a9525ace073d64e1b513622f4cf5c7', 'p1', 'admin', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 7, 1795331992061, 1795331992061, NULL);
INSERT INTO public.virtual_keys VALUES ('key_lwczqqfnfny27tdkkvyu', 'acme', 'old', 'hg-Ab3xy', '\xdde269be8c16e8feee712fa5752e66ac84b0a8637c5e4e3812826e12e9976d5c', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 9, 1795331992058, 1795331992067, 1795331992067);
INSERT INTO public.virtual_keys VALUES ('key_cejkzutxhv65yro3g67x', 'gone', '', '', '\x88df27d107c34fe3e4ec6ea02b671597dbf3308492ccf5d18fd7c348c7342343', 'p1', 'developer', NULL, NULL, NULL, '{}', '', NULL, NULL, NULL, false, 12, 1795331992064, 1795331992148, 1795331992148);

ALTER TABLE ONLY public.headgate_schema
    ADD CONSTRAINT headgate_schema_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT pk_audit PRIMARY KEY (seq);

ALTER TABLE ONLY public.credit_accounts
    ADD CONSTRAINT pk_credit_accounts PRIMARY KEY (tenant_id);

ALTER TABLE ONLY public.credit_entries
    ADD CONSTRAINT pk_credit_entries PRIMARY KEY (seq);

ALTER TABLE ONLY public.data_keys
    ADD CONSTRAINT pk_data_keys PRIMARY KEY (id);

ALTER TABLE ONLY public.directory_version
    ADD CONSTRAINT pk_directory_version PRIMARY KEY (id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT pk_events PRIMARY KEY (id);

ALTER TABLE ONLY public.hosts
    ADD CONSTRAINT pk_hosts PRIMARY KEY (id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT pk_idempotency_keys PRIMARY KEY (key_digest);

ALTER TABLE ONLY public.invoices
    ADD CONSTRAINT pk_invoices PRIMARY KEY (seq);

ALTER TABLE ONLY public.key_uses
    ADD CONSTRAINT pk_key_uses PRIMARY KEY (tenant_id, key_id);

ALTER TABLE ONLY public.limits
    ADD CONSTRAINT pk_limits PRIMARY KEY (tenant_id, subject, subject_id);

ALTER TABLE ONLY public.lost_invoices
    ADD CONSTRAINT pk_lost_invoices PRIMARY KEY (prefix, seq);

ALTER TABLE ONLY public.memberships
    ADD CONSTRAINT pk_memberships PRIMARY KEY (tenant_id, user_id);

ALTER TABLE ONLY public.model_grants
    ADD CONSTRAINT pk_model_grants PRIMARY KEY (tenant_id, model);

ALTER TABLE ONLY public.plans
    ADD CONSTRAINT pk_plans PRIMARY KEY (id);

ALTER TABLE ONLY public.provider_credentials
    ADD CONSTRAINT pk_provider_credentials PRIMARY KEY (provider, field);

ALTER TABLE ONLY public.tenant_deletions
    ADD CONSTRAINT pk_tenant_deletions PRIMARY KEY (id);

ALTER TABLE ONLY public.tenants
    ADD CONSTRAINT pk_tenants PRIMARY KEY (id);

ALTER TABLE ONLY public.usage_gateways
    ADD CONSTRAINT pk_usage_gateways PRIMARY KEY (id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT pk_users PRIMARY KEY (id);

ALTER TABLE ONLY public.virtual_keys
    ADD CONSTRAINT pk_virtual_keys PRIMARY KEY (id);

ALTER TABLE ONLY public.virtual_keys
    ADD CONSTRAINT uq_virtual_keys_digest UNIQUE (digest);

CREATE INDEX ix_audit_actor_id_seq ON public.audit USING btree (actor_id, seq);

CREATE INDEX ix_audit_actor_tenant_id_seq ON public.audit USING btree (actor_tenant_id, seq);

CREATE INDEX ix_audit_at ON public.audit USING btree (at);

CREATE INDEX ix_audit_object_id_seq ON public.audit USING btree (object_id, seq);

CREATE INDEX ix_audit_tenant_id_seq ON public.audit USING btree (tenant_id, seq);

CREATE INDEX ix_credit_accounts_version ON public.credit_accounts USING btree (version);

CREATE INDEX ix_credit_entries_customer_seq ON public.credit_entries USING btree (customer, seq);

CREATE INDEX ix_events_tenant_id ON public.events USING btree (tenant_id);

CREATE INDEX ix_idempotency_keys_expires_at ON public.idempotency_keys USING btree (expires_at);

CREATE INDEX ix_idempotency_keys_tenant_id ON public.idempotency_keys USING btree (tenant_id);

CREATE INDEX ix_invoices_month_seq ON public.invoices USING btree (month, seq);

CREATE INDEX ix_limits_version ON public.limits USING btree (version);

CREATE INDEX ix_memberships_user_id ON public.memberships USING btree (user_id);

CREATE INDEX ix_memberships_version ON public.memberships USING btree (version);

CREATE INDEX ix_model_grants_version ON public.model_grants USING btree (version);

CREATE INDEX ix_plans_version ON public.plans USING btree (version);

CREATE INDEX ix_provider_credentials_data_key_id ON public.provider_credentials USING btree (data_key_id);

CREATE INDEX ix_provider_credentials_version ON public.provider_credentials USING btree (version);

CREATE INDEX ix_tenants_plan ON public.tenants USING btree (plan);

CREATE INDEX ix_tenants_version ON public.tenants USING btree (version);

CREATE INDEX ix_users_created_at_id ON public.users USING btree (created_at, id);

CREATE INDEX ix_users_version ON public.users USING btree (version);

CREATE INDEX ix_virtual_keys_tenant_id_created_at_id ON public.virtual_keys USING btree (tenant_id, created_at, id);

CREATE INDEX ix_virtual_keys_tenant_id_name ON public.virtual_keys USING btree (tenant_id, name);

CREATE INDEX ix_virtual_keys_version ON public.virtual_keys USING btree (version);

CREATE UNIQUE INDEX uq_credit_entries_ended ON public.credit_entries USING btree (ended);

CREATE UNIQUE INDEX uq_credit_entries_id ON public.credit_entries USING btree (id);

CREATE UNIQUE INDEX uq_invoices_corrects ON public.invoices USING btree (corrects);

CREATE UNIQUE INDEX uq_invoices_customer_month_revision_kind ON public.invoices USING btree (customer, month, revision, kind);

CREATE UNIQUE INDEX uq_invoices_number ON public.invoices USING btree (number);

CREATE UNIQUE INDEX uq_tenant_deletions_tenant_id ON public.tenant_deletions USING btree (tenant_id) WHERE (finished_at IS NULL);

CREATE UNIQUE INDEX uq_users_issuer_subject ON public.users USING btree (issuer, subject) WHERE (deleted_at IS NULL);

CREATE TRIGGER audit_rows BEFORE INSERT OR DELETE OR UPDATE ON public.audit FOR EACH ROW EXECUTE FUNCTION public.headgate_audit_is_kept();

CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON public.audit FOR EACH STATEMENT EXECUTE FUNCTION public.headgate_audit_is_kept();

CREATE TRIGGER credit_entries_rows BEFORE INSERT OR DELETE OR UPDATE ON public.credit_entries FOR EACH ROW EXECUTE FUNCTION public.headgate_credits_are_kept();

CREATE TRIGGER credit_entries_truncate BEFORE TRUNCATE ON public.credit_entries FOR EACH STATEMENT EXECUTE FUNCTION public.headgate_credits_are_kept();

CREATE TRIGGER invoices_rows BEFORE INSERT OR DELETE OR UPDATE ON public.invoices FOR EACH ROW EXECUTE FUNCTION public.headgate_invoice_is_kept();

CREATE TRIGGER invoices_truncate BEFORE TRUNCATE ON public.invoices FOR EACH STATEMENT EXECUTE FUNCTION public.headgate_invoice_is_kept();

ALTER TABLE ONLY public.memberships
    ADD CONSTRAINT fk_memberships_user_id FOREIGN KEY (user_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.provider_credentials
    ADD CONSTRAINT fk_provider_credentials_data_key_id FOREIGN KEY (data_key_id) REFERENCES public.data_keys(id);
