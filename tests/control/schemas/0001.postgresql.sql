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

CREATE TABLE public.adapter_versions (
    tenant_id character varying(64) NOT NULL COLLATE pg_catalog."C",
    name character varying(64) NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL,
    state character varying(16) NOT NULL COLLATE pg_catalog."C",
    sha256 character varying(64) NOT NULL COLLATE pg_catalog."C",
    manifest_sha256 character varying(64) COLLATE pg_catalog."C",
    size_bytes bigint NOT NULL,
    rank bigint,
    facts text NOT NULL,
    weight bigint,
    wanted_weight bigint,
    wanted_at bigint,
    staged_on text NOT NULL,
    failure character varying(1024) COLLATE pg_catalog."C",
    created_by character varying(128) NOT NULL COLLATE pg_catalog."C",
    staged_at bigint,
    live_at bigint,
    alone_at bigint,
    retired_at bigint,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint,
    CONSTRAINT ck_adapter_versions_sha256 CHECK (((length((sha256)::text) = 64) OR (deleted_at IS NOT NULL))),
    CONSTRAINT ck_adapter_versions_state CHECK (((state)::text = ANY ((ARRAY['uploaded'::character varying, 'validated'::character varying, 'staged'::character varying, 'live'::character varying, 'retired'::character varying])::text[]))),
    CONSTRAINT ck_adapter_versions_weight CHECK ((((state)::text = 'live'::text) = (weight IS NOT NULL)))
);

CREATE TABLE public.adapters (
    tenant_id character varying(64) NOT NULL COLLATE pg_catalog."C",
    name character varying(64) NOT NULL COLLATE pg_catalog."C",
    base_model character varying(128) NOT NULL COLLATE pg_catalog."C",
    last_number bigint NOT NULL,
    created_by character varying(128) NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    deleted_at bigint
);

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
    usage_place character varying(256) COLLATE pg_catalog."C",
    engines_at bigint,
    adapter_bases text NOT NULL,
    adapters_elsewhere text NOT NULL,
    adapters_unserved text NOT NULL
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
    pricing text,
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
    pricing text,
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

INSERT INTO public.adapter_versions VALUES ('acme', 'bot', 1, 'live', 'abababababababababababababababababababababababababababababababab', NULL, 8589934592, 8, '{"lineage":["ü"]}', 100, NULL, NULL, '["host_1"]', NULL, 'key_admin', 1795378040736, 1795378040736, NULL, NULL, 9, 1795378040736, 1795378040736, NULL);
INSERT INTO public.adapter_versions VALUES ('gone', 'bot', 1, 'live', '', NULL, 8589934592, 8, '{}', 100, NULL, NULL, '[]', NULL, '', 1795378040736, 1795378040736, NULL, NULL, 12, 1795378040736, 1795378040899, 1795378040899);

INSERT INTO public.adapters VALUES ('acme', 'bot', 'chat', 1, 'key_admin', 9, 1795378040736, 1795378040736, NULL);
INSERT INTO public.adapters VALUES ('gone', 'bot', '', 1, '', 12, 1795378040736, 1795378040899, 1795378040899);

INSERT INTO public.audit VALUES (1, 1795378040637, 1, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x52919110395b8dcc8b5771c7010e67e89432b0a4947cc8e183c43d0e6c54c70e', '\x59ed7df508e3748a5d0a5eec16a5e7f2af6a3b0fbfd63b547228fae6bc5301c8', 'acme', 'acme', NULL, '{"created_at":"2026-11-22T20:07:20.637Z","created_by":"key_admin","deleted_at":null,"deleting_at":null,"disabled":false,"display_name":"Acme","id":"acme","metadata":{"größe":"ü"},"pin_targets":false,"plan":"gold","pricing":{"discount":"10%"},"store_prompts":false,"updated_at":"2026-11-22T20:07:20.637Z","usage_retention_days":30,"version":1,"zones":["eu"]}', '\x94d872b70ac39b47fb2a6c1305e481cfa61e8da2728fa49fd0a9c0cebc0a8386', '\xc44c55d0fb7e833601ccd33e1d5dc882d3fbac5ad99fd03c31807b0855953031', '\x0000000000000000000000000000000000000000000000000000000000000000', '\xb182e37a287c2fbbcc7d3fb9266f0ae6adb8707557a2501d698f38d8aba4abca');
INSERT INTO public.audit VALUES (3, 1795378040663, 3, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x9400b1bd98f1a3e7ebb0d3ab33938015c1a773382d3a745f69de2dba971c18ce', '\xe541330dd8b0682dbc83d3abde49da5bf62406126f19dc4268ab961f4dcdbb96', 'acme', 'user_jf3j7p5sckmt37qgztyw', NULL, '{"role":"owner"}', '\xeffd9f0b0db2514f0c9b5e7cc18fd4f897d010f2c7b644e66357ccd37796ed63', '\x4ce3caa1f8b6a74aa088f291ed03c03a6c0abcb2d08d71916c838bf2e1588e66', '\x8c4043d0c7353671d1276a220ffbddbc1b330bbec212c02981aadea0c8848cbd', '\xec6babda9c2d8a6ef5027bfb006472380789d4fdb4cf50f0dd421e72513fe21a');
INSERT INTO public.audit VALUES (5, 1795378040700, 5, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x04aa83e1a73da62d2dffb51858bbfa757f6a9f0650fc68331878b1fbd5380a41', '\x04f7cbe915c4947bd3206dbbb118dc54ea6a5a02f5a0028670510e9a5e342b4e', 'acme', 'key_gjz7c6go5ohmy3fwwxr6', NULL, '{"created_at":"2026-11-22T20:07:20.700Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":"2027-01-31T00:00:00.000Z","id":"key_gjz7c6go5ohmy3fwwxr6","limits":null,"metadata":{},"models":null,"name":"ci","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T20:07:20.700Z","valid_until":null,"version":5}', '\x70149353fe2613406977203dbc2efc89863f21ec52eee353f7e03a0185cedf8d', '\x0bbc498b4eea6447e15234b112b6cc2fdf679199756608b3e01c400af6f8c67b', '\xc2cdd73d3e8789d1defa245531d2b0052997b67704f6ce6cb6f8cc53e541c291', '\x5b1476764f4fcaadf9959e3626ec601e0cdcb1d88e5fe68dbc8673dfa72aef43');
INSERT INTO public.audit VALUES (6, 1795378040715, 6, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x8bebb97344a050b7c4ece8b39d78d326389d876a478f596c20acf37c7c29314e', '\x3b5cbe07923adf4a21f16f3782d722f97c2d02e70b161b82ba92e40143b98879', 'acme', 'key_3fnlgbyhnhyeytzkmuek', NULL, '{"created_at":"2026-11-22T20:07:20.715Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_3fnlgbyhnhyeytzkmuek","limits":null,"metadata":{},"models":null,"name":"old","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T20:07:20.715Z","valid_until":null,"version":6}', '\x7fc5d42a05dbe3b0a9e8aa0d7a5ef684baedee78b67a331ef8adc2a58bbf34f4', '\xceeb2a23c1f4688687eb3465a1df91a1cd24d39033af08112d0f2dd7cf4d8a91', '\x5b1476764f4fcaadf9959e3626ec601e0cdcb1d88e5fe68dbc8673dfa72aef43', '\xb0d76d916a0902343e79b79133f5e63e9907d3048bf211ada3c1d8eb3cd79e30');
INSERT INTO public.audit VALUES (7, 1795378040723, 7, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x8a77c88ee2613d0f148516b8bdfacf3165e76884e83d1b766c60f846d3814f02', '\xba153d29ee460dd95bf0f9b2176787aaff06685dd74e0a85c275825d5394fa25', NULL, 'key_hftzcubx6w5x27zc4u4v', NULL, '{"created_at":"2026-11-22T20:07:20.723Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_hftzcubx6w5x27zc4u4v","limits":null,"metadata":{},"models":null,"name":"admin","pepper_id":"p1","prefix":"hg-Ab3xy","role":"admin","rotated_from":null,"tenant_id":null,"updated_at":"2026-11-22T20:07:20.723Z","valid_until":null,"version":7}', '\xc3b34343c83bc9d111c3127c5c4897402c689026ef9b42a4465d30bf305bb77c', '\x125b5dcd857252c2f71c522a5ca13725e4222c2ac4532a82c17eb3914d0fd688', '\xb0d76d916a0902343e79b79133f5e63e9907d3048bf211ada3c1d8eb3cd79e30', '\xd02f3aaaa610f66c8857e42d0d4dc7cea2548f46ec97f210aaa1dc09eebe08d5');
INSERT INTO public.audit VALUES (11, 1795378040736, 9, 'invoice.lost', 'invoice', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x63339b6141ff4ec74fbc66c2d37ab84d992f033ed195a9cae60b3e99b02d4470', '\x22d24420a5c41e68f7661dd84f6128d5f48ed805eb329e05fc7743629f626d49', NULL, 'OLD-000007', NULL, '{"number":"OLD-000007"}', '\xc9a3e7abc9b450d58ed5dd78725ce195bc35b080c80edc5d37ed322647846dce', '\xd3d42ca4decec5071a4954e3b35bdef46e79ee6ddcfe0b41ae1db13bb7d9c730', '\x5e1268c331f0553e38fd61d1f20eaa007413b6b60ab620d68a9f0d962ac9056f', '\x14c15b08087a030b025694f034986a2d0abb20f1869c0548e6cf0939951696f1');
INSERT INTO public.audit VALUES (13, 1795378040736, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xed1af3d23a95e2ba516636c2a1430e14e37ba0bb7243356c6700f370125a7377', '\xd24f1357ac3e94c71103d76c6fdcbaf5aaeb84d16a04bab75eddda172d147248', 'acme', 'credit_oo4t23ercalti4fvbojn', NULL, '{"amount_nano":100000000000,"ended":null,"expires_on":"2027-01-31","kind":"prepaid","note":""}', '\xd81f51109f4e74299b555c0015fd4f694500ddef5ee4084c896121f83073c979', '\xc2d5a02049b8fc0da45cc93dfd493fbfd57ec918f3583a4f0d68ef24449a8d67', '\x9d94af2f46baa0171998aece862119d2a2d90f913ffd8ecc0e4cd04bc8f25dfe', '\x41e6d2deec73796387c8671011f176f92667955a237ea6391b64d60503cc9e73');
INSERT INTO public.audit VALUES (14, 1795378040736, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x080e40f3880b483f138ac1c13dd7c926ef05381bd0594793f9031218524af447', '\x676642a4eeb435e500cb467a2c59b209c28a2f39e1d72bc64737b67f52c2be5c', 'acme', 'credit_hfapvnmk2e6edxica4t4', NULL, '{"amount_nano":100000000000,"ended":null,"expires_on":"2100-01-31","kind":"prepaid","note":""}', '\xc7df21f2c29fc00bcc925eff7e6468bcf80ce502a96a7e06b7b922c7986939cc', '\x3a05f81a03f8ad2ccb56cbde40fbc5b8522adb80763a5bf9070d65e815be5c04', '\x41e6d2deec73796387c8671011f176f92667955a237ea6391b64d60503cc9e73', '\x39da9ae295f001529287966fa760f234a291908bfc5d64896ca551734d3184c4');
INSERT INTO public.audit VALUES (2, 1795378040651, 2, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x4ca7f907bc5e5223fa3cf5660854b9da97deb1b4d0356e454dad94b05c8b5b64', '\x9789b23fdbe50b2852485ed4a2225663227adb06d2e9c469f441735c322d8a4c', NULL, NULL, NULL, NULL, NULL, '\xf2aab5964392496d1a04c98f9d535142f93b8357d99904d49f086a436ffd1d59', '\xb182e37a287c2fbbcc7d3fb9266f0ae6adb8707557a2501d698f38d8aba4abca', '\x8c4043d0c7353671d1276a220ffbddbc1b330bbec212c02981aadea0c8848cbd');
INSERT INTO public.audit VALUES (9, 1795378040736, 9, 'invoice.issue', 'invoice', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x7d15766090bf4fb2a08ce168ba8abf65a7da5e29dba44849894c8eb0803e8077', '\x28746844d6e269e0a2a7335f2abdeb16ba9650f3390fb724d7c13a35316b9a5f', NULL, NULL, NULL, NULL, NULL, '\xd8d0bade9ed63b2c9a147a2f7b83f82a114018995b8e0096c14f5df58212651e', '\xbd2e3eee2281e604809c40a424b40abe11a8ca1679964823cba0d9c726cfa3ac', '\xb79000b08a568dc15a2b33a4d85476efa7895b448552af0664ce1a7a0ec9254b');
INSERT INTO public.audit VALUES (15, 1795378040736, 9, 'credits.expire', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x3d58953962b2047ed32b66f8cf0e7f9a74b3c64e6cd8bd7d489004f614d6e7c5', '\x45e736c0abd3fa6b27542dc9e8cf23080a546c53d72c00a48718589fff1efd04', 'acme', 'credit_74mhsq3fem5lpdpt5mlo', NULL, '{"amount_nano":-1,"ended":2,"expires_on":null,"kind":"expired","note":""}', '\x6eb8bf3f54a5a5b92461b8b2c95fa56a7b115675fac992c9dc499a3f7784f682', '\xfacb37995996428a03ebd356e61a5336e368546c0e549c648fed0a00560727f3', '\x39da9ae295f001529287966fa760f234a291908bfc5d64896ca551734d3184c4', '\x7f7c11a13a7731ee488b90768c06fa84f9a1c936bc00106cfac1f2b323c58f58');
INSERT INTO public.audit VALUES (16, 1795378040736, 9, 'test.fill', 'directory', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xc11bea1cd9b264b06b052c37e29ff8282ee8159a902dd66b937dd56283983ff4', '\x0d715004acee3272c5c43e41cbea4cf45e316ee77ec23e63ffbc8135518a955d', 'acme', NULL, '{"a":null}', '{"ciphertext":"***","created_by":"key_admin","data_key_id":"dk_1","nonce":"***"}', '\x6e9b489708f28fe78f713a6f26c1ff8df19ab8a19df32519c073ef0f0672325a', '\x4feffa61a8becadb949914b761632e3b3ca65d25d901287a6460fcb639eb01c9', '\x7f7c11a13a7731ee488b90768c06fa84f9a1c936bc00106cfac1f2b323c58f58', '\x45c735fa6794ab9214378b16672dc860efe660846a2aeb0460349b8d4ce790c9');
INSERT INTO public.audit VALUES (17, 1795378040854, 10, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x59e0beadd5fc740428621a1958ff1e5ba5649ee504285771d107da450f158c19', '\x26e6d04700614f0ce5485a053abfb821aadb2827636ef06754e728416850e457', NULL, 'del_ui5rq7czer57xp5jh4wi', NULL, '{"fingerprint":"26167c1c77d38008fb037990d477e24173c730e9aa87d43e8e3edb37ec5451cd"}', '\x169725bf7487d4f1e1f34677053bb4126500df7322505458357a311b0f772f6f', '\xff95d210bad1576528331cbe96539665fbc60002e9b21623a1d3a95de2eba661', '\x45c735fa6794ab9214378b16672dc860efe660846a2aeb0460349b8d4ce790c9', '\x6a3e7b51969ee03165f3a3496dddfd0e4903cc80e84cae36736afb1b3b558f02');
INSERT INTO public.audit VALUES (4, 1795378040679, 4, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xa9e997a1c72107f377e3d3b1e96fa6d5725f6d8a569e8cfb38230c3bbdbcb863', '\x343584823cd452f517acc6d4f6d9b34ac3595476bcf86f5931e3392d357186a3', NULL, NULL, NULL, NULL, NULL, '\xb0883fe9af54bf79a47dd9d09c68be65652cba111d6d615c84d6a074780fe213', '\xec6babda9c2d8a6ef5027bfb006472380789d4fdb4cf50f0dd421e72513fe21a', '\xc2cdd73d3e8789d1defa245531d2b0052997b67704f6ce6cb6f8cc53e541c291');
INSERT INTO public.audit VALUES (18, 1795378040871, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x28215eb952c00309658b00de814870057aaef8e6066f933bef2dd83e3421bd82', '\x980be99bc51cac2c85479fdca7611c9cdf210a13c9687b758e9b813af781109d', NULL, NULL, NULL, '{"subject":[[4,4]]}', '\x07927241c215187f59aeb0e7a3cd59228d5e616399fdb9bbc83f34884a9bb772', '\xd6ee34cc7b8e63b5ded7dbb1143d358d7809056cf916dfb422c441946c3f787b', '\x6a3e7b51969ee03165f3a3496dddfd0e4903cc80e84cae36736afb1b3b558f02', '\x19d91d523f27e660eb08e8776831fa95a4d4ec55ec87bee5c9a55232f63fe747');
INSERT INTO public.audit VALUES (19, 1795378040881, 11, 'user.erase', 'user', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xf693d8d0e306257b949f38c8e04be04b9499e80e7b9c2bda5b5ad305fcf59f29', '\x499eecb7593c1c8d42adf2642e69fe3b12dec71c947cc0dddeb3b93b763a5343', NULL, NULL, NULL, NULL, '\x8e5d2a51470df90746033c1b6804dd8f1baf15cd06f6d4bc1008c02b59324d1f', '\xb81dbb272283ebd2f5efbf72a1fcb6893be0e409ab0c3e39c9a71fd5becf1e26', '\x19d91d523f27e660eb08e8776831fa95a4d4ec55ec87bee5c9a55232f63fe747', '\x025c227c9868e722b63625a2a18bd79e712c3b0b7d280d3fae9fd1f99518e480');
INSERT INTO public.audit VALUES (8, 1795378040730, 8, 'key.create', 'key', 'user', NULL, NULL, NULL, NULL, NULL, '\x6a39edaf3b0eff4d12d86460039ac486ecfbd8ff27b841a642b36fc8f2053b14', NULL, NULL, NULL, NULL, NULL, '\x34fd0d3f9b90fd6f94822271ac0dcc81caa77cda3ff42804ec4f340a1de0e31d', '\xd02f3aaaa610f66c8857e42d0d4dc7cea2548f46ec97f210aaa1dc09eebe08d5', '\xbd2e3eee2281e604809c40a424b40abe11a8ca1679964823cba0d9c726cfa3ac');
INSERT INTO public.audit VALUES (10, 1795378040736, 9, 'credit_note.issue', 'credit_note', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x9ad8a238cbdf8076c9c71928f1b474060e7e4c1626f3d32d2b3dfabe7ba5b337', '\x22e2104524e2d75b12bc3a7facc95c029a3f62af0adc63e12669175e303e9c20', NULL, NULL, NULL, NULL, NULL, '\xc667641b8e8d46e058d34155546a82524bb73d91695c8fac352f1f1aee51e6ed', '\xb79000b08a568dc15a2b33a4d85476efa7895b448552af0664ce1a7a0ec9254b', '\x5e1268c331f0553e38fd61d1f20eaa007413b6b60ab620d68a9f0d962ac9056f');
INSERT INTO public.audit VALUES (12, 1795378040736, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xfaa578d0e3911df0a3b695cd3459da6f9057b81d1cbb00180faca70be5d6cec5', '\x75a6423d2d21f67b1c92d765746c6a41eb3519f931783fdabaa8640e459a2cbf', NULL, NULL, NULL, NULL, NULL, '\xe2f33c60b7acffebbe61b541de24bdea450b4698efe465ec605403a034a11ed8', '\x14c15b08087a030b025694f034986a2d0abb20f1869c0548e6cf0939951696f1', '\x9d94af2f46baa0171998aece862119d2a2d90f913ffd8ecc0e4cd04bc8f25dfe');
INSERT INTO public.audit VALUES (20, 1795378040889, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x25679aada96f2654b6c94687de43ccbe185ee28da169edb716e0636f3f664d38', '\x0e353f331ea4bd7f71dfece9e76691029823d2f2b46c8bf60e9de8039bd980ce', NULL, NULL, NULL, '{"actor":[[8,8]],"subject":[[2,2],[8,10],[12,12]]}', '\xba4e17429160c0dedd57f53de07a35ad318cbedd7dbb0de53f945225c2a15a16', '\x388a84958d272cb8cadb8295f032985fc29b08e0fd95ba65d41882161dfd92cc', '\x025c227c9868e722b63625a2a18bd79e712c3b0b7d280d3fae9fd1f99518e480', '\x2e521ed9dd62de1a648feb15bf4b7cc0b250f1f181db16e00a5d1f173370899a');
INSERT INTO public.audit VALUES (21, 1795378040899, 12, 'tenant.erase', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x36f90b3e6e6535e5c5cbca485f5e82e08f0b7af10b03e5ac85dcc51dc8b83815', '\xdcb01c2b5d962f10f674e3de6ba41bf446adb6f5e17ff684c502be9c528de165', NULL, NULL, NULL, '{"rows":5}', '\x4e5dd0e3dbfd5d7c2a0cc863f0544be69d956c9fa47fc3dcbba1295fdc48a24b', '\x9ce98d4f004e4187301d4a43551a8284d45bf846f16ee1dd003ce928e20ae8c3', '\x2e521ed9dd62de1a648feb15bf4b7cc0b250f1f181db16e00a5d1f173370899a', '\x2d2f1bd2f3f89e8ba6044f6e781224006d1df34f986a2930360c177051e6fc5a');
INSERT INTO public.audit VALUES (22, 1795378040935, NULL, 'tenant.deleted', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xa3b3ce8488b5e0f647d896492a8728b25433b63328769ab3b6076a855b6a00c8', '\x1cce6ff99d0871e3100eeddaa170fc6a93f976e19feb4744b15d5c627e103b18', NULL, 'del_ui5rq7czer57xp5jh4wi', NULL, '{"stores":[]}', '\x0c3e0d9d383dc6bbf6edec34577e15a520576484febbf28a41762391965c8966', '\x71d538610e19d372dedaa7d8cd1e7973952008166fa9b783f45ed98769d7ea3f', '\x2d2f1bd2f3f89e8ba6044f6e781224006d1df34f986a2930360c177051e6fc5a', '\x949f088759c4f703cbe00c6b8fbdf1b3334b745a545d657a760d5bb4c9b44316');
INSERT INTO public.audit VALUES (23, 1795378040935, NULL, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x66b07c0c51fc1ffe9bcbf4f5ccc236a771aec22b13e8fc6a94e54e8db98442b4', '\x802248920480f0734982bfee6b8b48e97238971965509a6859c1f59892be5ab2', NULL, 'del_bythznsp34bnwtgxfc76', NULL, '{"fingerprint":"45f2d1a3bcc9720bb26072e1a3919405e5aaa338da9ed757c5679b41aae61123"}', '\x1a857276aa603c76dafbc4d293e14fc50c133e01998ae83ad3ebb5b75e161f79', '\x17f063b0fbb8121092ff52814fb7e339c0ac8ce32119c922948bd1e370fd5a80', '\x949f088759c4f703cbe00c6b8fbdf1b3334b745a545d657a760d5bb4c9b44316', '\x5644d3a42ceed85518a603f430f6cf4344b9e59ee43d43856bb77333edc067bd');

INSERT INTO public.credit_accounts VALUES ('acme', 20779, 199999999999, '[[4105123200000,100000000000]]', 9, 1795378040736, 1795378040736, NULL);
INSERT INTO public.credit_accounts VALUES ('gone', 0, 0, '[]', 12, 1795378040736, 1795378040899, 1795378040899);

INSERT INTO public.credit_entries VALUES (2, 'credit_oo4t23ercalti4fvbojn', 'acme', 'prepaid', 100000000000, 20849, '', NULL, 1795378040736, 'key_admin', NULL);
INSERT INTO public.credit_entries VALUES (3, 'credit_hfapvnmk2e6edxica4t4', 'acme', 'prepaid', 100000000000, 47512, '', NULL, 1795378040736, 'key_admin', NULL);
INSERT INTO public.credit_entries VALUES (4, 'credit_74mhsq3fem5lpdpt5mlo', 'acme', 'expired', -1, NULL, '', 2, 1795378040736, 'system:credits', NULL);
INSERT INTO public.credit_entries VALUES (1, 'credit_skp2vpj53txizw2rne6b', 'gone', 'prepaid', 100000000000, NULL, 'ü', NULL, 1795378040736, 'key_admin', 1795378040899);

INSERT INTO public.data_keys VALUES ('dk_1', '\x00000000000000000000000000000000000000000000000000000000000000000000000000000000', 'file:data-key', 1795378040736, 1795378040736);

INSERT INTO public.directory_version VALUES (1, 12, 0);

INSERT INTO public.events VALUES ('msg_1', 'acme', 1795378040736, '{"type":"invoice.issued"}');

INSERT INTO public.headgate_schema VALUES ('0001');

INSERT INTO public.hosts VALUES ('host_1', 'gateway-1', 1795378040841, 1795378040841, 1796173200000, 'at clickhouse:8123/headgate', NULL, '[]', '[]', '{}');

INSERT INTO public.idempotency_keys VALUES ('\x34301acb2d391123f50568586e9dae7610fd718cc23b757798bd0d03a294efb4', 'acme', '\x0000000000000000000000000000000000000000000000000000000000000000', 201, '\x7b7d', 1795464440736);

INSERT INTO public.invoices VALUES (2, 'INV-000002', 'credit_note', 'gone', '2026-11', 1, 1, 1795378040736, -1250, '{}', '\x44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', '<p></p>', '\xfe04a9dc88d3f3be8d4f6bc63a9a80f45a4c6d8460e7551dab849457c091920a', 1795378040899);
INSERT INTO public.invoices VALUES (1, 'INV-000001', 'invoice', 'gone', '2026-11', 1, NULL, 1795378040736, 1250, '{"number":"INV-000001"}', '\xf73b835b2463897f8cef3843bfbceb6d05c2137ae02354ce7a525b8deb3de975', '<p>ü</p>', '\x3f08d999915773475441df32aaf6d7f773b76fe587502b36fb6fcf45aee9e5cc', 1795378040899);

INSERT INTO public.key_uses VALUES ('acme', 'key_gjz7c6go5ohmy3fwwxr6', 1796083200000);

INSERT INTO public.limits VALUES ('acme', 'tenant', 'acme', '{"rpm":9}', 9, 1795378040736, 1795378040736, NULL);

INSERT INTO public.lost_invoices VALUES ('OLD-', 7, 1795378040736);

INSERT INTO public.memberships VALUES ('acme', 'user_jf3j7p5sckmt37qgztyw', 'owner', 3, 1795378040663, 1795378040663, NULL);
INSERT INTO public.memberships VALUES ('gone', 'user_rva27niyenr5zyqq7bur', 'developer', 11, 1795378040679, 1795378040881, 1795378040881);

INSERT INTO public.model_grants VALUES ('acme', 'chat', 'key_admin', 9, 1795378040736, 1795378040736, NULL);

INSERT INTO public.plans VALUES ('gold', 'Gold', '{"rpm":60,"tpm":{"limit":5,"soft":4}}', NULL, '{"models":{"chat":{"markup":"2.5%"}}}', 9, 1795378040736, 1795378040736, NULL);

INSERT INTO public.provider_credentials VALUES ('openai', 'api_key', '\x010203', '\x000102030405060708090a0b', 'dk_1', 'key_admin', 9, 1795378040736, 1795378040736, NULL);

INSERT INTO public.tenant_deletions VALUES ('del_ui5rq7czer57xp5jh4wi', NULL, '\x26167c1c77d38008fb037990d477e24173c730e9aa87d43e8e3edb37ec5451cd', 'key_admin', 1795378040854, '[]', 1795378040935);
INSERT INTO public.tenant_deletions VALUES ('del_bythznsp34bnwtgxfc76', 'another', '\x45f2d1a3bcc9720bb26072e1a3919405e5aaa338da9ed757c5679b41aae61123', 'key_admin', 1795378040935, '[]', NULL);

INSERT INTO public.tenants VALUES ('acme', 'Acme', 'gold', '["eu"]', false, false, false, 30, '{"discount":"10%"}', '{"größe":"ü"}', 'key_admin', NULL, 1, 1795378040637, 1795378040637, NULL);
INSERT INTO public.tenants VALUES ('gone', '', NULL, NULL, false, false, true, NULL, NULL, '{}', '', 1795378040854, 12, 1795378040651, 1795378040899, 1795378040899);

INSERT INTO public.usage_gateways VALUES ('gateway-1', 'host_1', NULL, 9, 1152921504606846976, 1796173200000);

INSERT INTO public.users VALUES ('user_jf3j7p5sckmt37qgztyw', 'https://id.example', 'alice', 'alice@example.org', NULL, NULL, false, 3, 1795378040663, 1795378040663, NULL);
INSERT INTO public.users VALUES ('user_rva27niyenr5zyqq7bur', '', '', NULL, NULL, NULL, true, 11, 1795378040679, 1795378040881, 1795378040881);

INSERT INTO public.virtual_keys VALUES ('key_gjz7c6go5ohmy3fwwxr6', 'acme', 'ci', 'hg-Ab3xy', '\x46bb26f0d8e5b5d63701c89f7d92853da859ae8e260fccfe5caf09213c67375f', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', 1801353600000, NULL, NULL, false, 5, 1795378040700, 1795378040700, NULL);
INSERT INTO public.virtual_keys VALUES ('key_hftzcubx6w5x27zc4u4v', NULL, 'admin', 'hg-Ab3xy', '\xcfc8963d2bad41f9d8b493aeb0a539e7bbfe51a2435d65dfaa3c4ef6c5da6964', 'p1', 'admin', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 7, 1795378040723, 1795378040723, NULL);
INSERT INTO public.virtual_keys VALUES ('key_3fnlgbyhnhyeytzkmuek', 'acme', 'old', 'hg-Ab3xy', '\x9d66a7a7543be1dfe692a4eee9920efede034c117112c9a4a6d6575e28714ecd', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 9, 1795378040715, 1795378040736, 1795378040736);
INSERT INTO public.virtual_keys VALUES ('key_tiwiu4mpvpqf7sxvq6pl', 'gone', '', '', '\x36122097f8789cd46b1e58d5f972dd84a7da26b98f8036bb6d47cedfa6698a3b', 'p1', 'developer', NULL, NULL, NULL, '{}', '', NULL, NULL, NULL, false, 12, 1795378040730, 1795378040899, 1795378040899);

ALTER TABLE ONLY public.headgate_schema
    ADD CONSTRAINT headgate_schema_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY public.adapter_versions
    ADD CONSTRAINT pk_adapter_versions PRIMARY KEY (tenant_id, name, number);

ALTER TABLE ONLY public.adapters
    ADD CONSTRAINT pk_adapters PRIMARY KEY (tenant_id, name);

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

CREATE INDEX ix_adapter_versions_version ON public.adapter_versions USING btree (version);

CREATE INDEX ix_adapters_version ON public.adapters USING btree (version);

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
