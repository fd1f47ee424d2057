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
    adapters_elsewhere text NOT NULL
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

INSERT INTO public.adapter_versions VALUES ('acme', 'bot', 1, 'live', 'abababababababababababababababababababababababababababababababab', NULL, 8589934592, 8, '{"lineage":["ü"]}', 100, NULL, NULL, '["host_1"]', NULL, 'key_admin', 1795375412191, 1795375412191, NULL, 9, 1795375412191, 1795375412191, NULL);
INSERT INTO public.adapter_versions VALUES ('gone', 'bot', 1, 'live', '', NULL, 8589934592, 8, '{}', 100, NULL, NULL, '[]', NULL, '', 1795375412191, 1795375412191, NULL, 12, 1795375412191, 1795375412479, 1795375412479);

INSERT INTO public.adapters VALUES ('acme', 'bot', 'chat', 1, 'key_admin', 9, 1795375412191, 1795375412191, NULL);
INSERT INTO public.adapters VALUES ('gone', 'bot', '', 1, '', 12, 1795375412191, 1795375412479, 1795375412479);

INSERT INTO public.audit VALUES (1, 1795375412087, 1, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x477c2191713ac83d5532ba188de4e4fd09df2df4eb8317c99e3fd7be6da20ccb', '\x3f9743a6665f0782fa2ad569cb37dfa315676a137dfc9938adca67c4d775d9b7', 'acme', 'acme', NULL, '{"created_at":"2026-11-22T19:23:32.087Z","created_by":"key_admin","deleted_at":null,"deleting_at":null,"disabled":false,"display_name":"Acme","id":"acme","metadata":{"größe":"ü"},"pin_targets":false,"plan":"gold","pricing":{"discount":"10%"},"store_prompts":false,"updated_at":"2026-11-22T19:23:32.087Z","usage_retention_days":30,"version":1,"zones":["eu"]}', '\x1a56439383779e8ace6de0dc560df28e42b263337c768688f9bb96aa411f17f2', '\x201789fe2ad090bc19771a84255daa84bc89dedfa668fd7872b0d076716cca34', '\x0000000000000000000000000000000000000000000000000000000000000000', '\xea47f2a308178c899650ce09dacee3a9c7ce195275e4c520c917b773c8ea88a8');
INSERT INTO public.audit VALUES (3, 1795375412115, 3, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xb0ec89687a68dd03033a4bd39dda024eff8dc8b6e19aedd8d8e2a18365b0adc2', '\x56f390244f9fc91637024694523c1138e4dd0050834a65c7055437971052c7c6', 'acme', 'user_hz2ywxld5bbpnkecoji6', NULL, '{"role":"owner"}', '\x5f8dad8c6799dddf5cdbe1b05819ee32b541de4f6170ded9ed194c0e1327a206', '\xd6c7a1da376531b6f12937b78e28d05e9e843aa9ef6c967cd28c9daba1299b71', '\xaa735c29b81436eadf382413c6133a9a8b04eb1232e4f813ffde50d72782f8a3', '\x251c378e42f44f96aae4b41648cd78c3c86a743b1e7274c7591cfb17d8a47550');
INSERT INTO public.audit VALUES (5, 1795375412146, 5, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xef07021a0fddb1cd209a1949a0dd68cf3c71dd025a59e890fb086fa80a148f66', '\xbdc465ddddb7a7d731ad840446c4da80f95889abff2ae74a016b9ea9c5a4de87', 'acme', 'key_z3mhvkt6rnily4www7nt', NULL, '{"created_at":"2026-11-22T19:23:32.146Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":"2027-01-31T00:00:00.000Z","id":"key_z3mhvkt6rnily4www7nt","limits":null,"metadata":{},"models":null,"name":"ci","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T19:23:32.146Z","valid_until":null,"version":5}', '\x08ef32ca531389d9e66708ad57d0386f40f76fedd77683c86e2151dd1f83621f', '\x5eae90f411633233ed72dd71a235c0fccb95e1cc496935f24cabba465d6a8471', '\x8adeca9b8ea7aace4351f48238722372c76dfbb1465943f9da530eee22d08f10', '\xb63284e740346019f404d170f4dc332de63db7a4398dbd6aee91b40ef0541261');
INSERT INTO public.audit VALUES (6, 1795375412158, 6, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x626536c81ee962ac31005cb15d61972b2aa5a1b038f416e03662bdad36bff2a5', '\xf24dab46c607d165f0003e0564645fddc3b765f8b76389707c6ac809a313b037', 'acme', 'key_vzhcahd7qtycv2xzb7fw', NULL, '{"created_at":"2026-11-22T19:23:32.158Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_vzhcahd7qtycv2xzb7fw","limits":null,"metadata":{},"models":null,"name":"old","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T19:23:32.158Z","valid_until":null,"version":6}', '\xe4ba6a6a0f0ba8dedc8b266b3ec6bd34543df499fada1bba628a6fe918b80013', '\xf6c7f980092ab285e794299108989376e958540d2e247511951834ef64125ba0', '\xb63284e740346019f404d170f4dc332de63db7a4398dbd6aee91b40ef0541261', '\x6f14a254260430606cc7263575e0a482243134b43db0fc1912e183766cd0f3b1');
INSERT INTO public.audit VALUES (7, 1795375412168, 7, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xca7717113d511139aaf6d5b4d1eab45c4fa0870fe034276d2f3d59186d75dd9f', '\x6b15f747b6ec59fe809fa1f911fe0f8e9acd65252d4b086ff9fbf05215e1912c', NULL, 'key_uivkjmz7d5pne3eo3dyg', NULL, '{"created_at":"2026-11-22T19:23:32.168Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_uivkjmz7d5pne3eo3dyg","limits":null,"metadata":{},"models":null,"name":"admin","pepper_id":"p1","prefix":"hg-Ab3xy","role":"admin","rotated_from":null,"tenant_id":null,"updated_at":"2026-11-22T19:23:32.168Z","valid_until":null,"version":7}', '\x05e47283ad601102db7d72ca1d0290bf0a13218850628d5ebd5683fd3809365c', '\x5585070d7089bb1e3df97a89b344ef3e690c007da8f0a0b98bab98449fb5d58f', '\x6f14a254260430606cc7263575e0a482243134b43db0fc1912e183766cd0f3b1', '\x54ed16cc304888d1d1406a1046ea3fe96560ec81abb92c767c6cc3a5ba5c961a');
INSERT INTO public.audit VALUES (11, 1795375412191, 9, 'invoice.lost', 'invoice', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xa347fb53f8004d09c889cec63020b8078d409ac21fba7c32a508d053fbd82265', '\xaf5f5c3315c164dd711c1ded0e0d534c355598bab4b25c0197792d8a31ab7b8f', NULL, 'OLD-000007', NULL, '{"number":"OLD-000007"}', '\x66bbdc10ef7ea0138de0e29f100c78a5be0f252254b33f12c457e9b2f7785e31', '\xf5df16c8f30e46e31c2c88b508074648d021aa0ff6f4c0ab28404ad1fe41759e', '\x5780b649a3413096e61cc0239857310a27bb2888d73c92996874072fde7b8042', '\x71923eec7a22ca119fa524e45c2b7e9abab17d46f6f1605de8841736633a5566');
INSERT INTO public.audit VALUES (13, 1795375412191, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x21a36123e854ca575f1193f7fd69c67cf6d6440d56457facb32f672a4a9f40fd', '\x43a44bd36fc845e27e6e9491e0ceebb2e0556fc76bf849389711439ab07eb224', 'acme', 'credit_qkxp4uhiziuvdju7p7bg', NULL, '{"amount_nano":100000000000,"ended":null,"expires_on":"2027-01-31","kind":"prepaid","note":""}', '\xeca3714bbb6f1d508ffa86805ce297715acd51a97d8337236d68fe8505ef43cd', '\x5d43546df705b38e40ffe0dc5184d40fcf56ca03313ab4f738c9ec2ded90fa9a', '\xf7ec408714e135da958f3b6fbd45a73c14ea43c27df248b96b79ffea48156f53', '\xe5f55653ac803cbd273226f3aaae5f653faea6ff796bcfaa788c6228811b797c');
INSERT INTO public.audit VALUES (14, 1795375412191, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x1a47eb738a429460cde1d68e9cc071aef324fe2d7f1bcff4c25e81d707bf88d8', '\xbe6f4f927dc42291b014ad0cf3756c36bf536de39e1b96b56062eeed40ac2a13', 'acme', 'credit_dfgv5m4wtim5f2m7bfsi', NULL, '{"amount_nano":100000000000,"ended":null,"expires_on":"2100-01-31","kind":"prepaid","note":""}', '\xea55098153fe4e2a0dec60bb798a7780dc5c782ce0f46b5a97f8cd909f5d830e', '\xcbccc16a13b1e08e4963ad9590eeb1b27650bed067d6a0d56d0a62cd83c28bf5', '\xe5f55653ac803cbd273226f3aaae5f653faea6ff796bcfaa788c6228811b797c', '\x5384e3b66871fa1f40a9bea430bcd97c4e456ab2a42e9c9e679da4c7227e8ad8');
INSERT INTO public.audit VALUES (2, 1795375412109, 2, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x1ffc8f7abaeb1129cf058100ac098c36bacc8191b03baacba5b12f4613f1da26', '\x07884d236b0895a29c9031f68c1a98dcffd0f4bdb61c966d7dc2fb70de31610c', NULL, NULL, NULL, NULL, NULL, '\xc5b960a3dc71ca1f26199a6b70de0a8116791ee12a3c5b271c548def5ab5abfc', '\xea47f2a308178c899650ce09dacee3a9c7ce195275e4c520c917b773c8ea88a8', '\xaa735c29b81436eadf382413c6133a9a8b04eb1232e4f813ffde50d72782f8a3');
INSERT INTO public.audit VALUES (9, 1795375412191, 9, 'invoice.issue', 'invoice', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x724fe09dcea998013acac5139eb85a454a9b289b3746b13fd86a86bd37aa64fe', '\xde35e83e938d11c1da3c5acf53f9f42213fc3bdd1b11857b6d546301ded8c319', NULL, NULL, NULL, NULL, NULL, '\xdc6c50e2049314b97e52d8f4cd9f43643a971126d9bd7245679758b5d49b9fe9', '\x7270558735d1843857bbee05db8320757509db77df6721240fe108cacf365f22', '\xf998c0447bb8b160006a5d947164ad226293546f27ce7a6f67283fb394022be1');
INSERT INTO public.audit VALUES (15, 1795375412191, 9, 'credits.expire', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x4f372fe1c1fcb4059b6d83e6058b2f1c48f432a2e4f10c83843b9c14d12648ee', '\x1942c27aefe0e14581497eee3266d813579f9050e9735615b5c99a720b681f0a', 'acme', 'credit_q2a4liqh2vgy3vl7mxz4', NULL, '{"amount_nano":-1,"ended":2,"expires_on":null,"kind":"expired","note":""}', '\x9beab7d2ed3a82552f9890b3ef1c50fb610db3b440746539a25c63b3f9634b80', '\xbf744b2ffbe2fedbc79831eab35fe9d69afa0d6003459af98306bb09a49078fb', '\x5384e3b66871fa1f40a9bea430bcd97c4e456ab2a42e9c9e679da4c7227e8ad8', '\x0cf3e22fc4aeb6be72362332adcdfe866180c9adbc55be97cafe3aa0baf6c916');
INSERT INTO public.audit VALUES (16, 1795375412191, 9, 'test.fill', 'directory', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x66448ebdb9e36c2076227d2ede64f6782da5b07cba05b7f6218b147ff89357de', '\x421c077a9c6fb292a3e1a1a4878d6e052f73da8b969ec708738b049540456b79', 'acme', NULL, '{"a":null}', '{"ciphertext":"***","created_by":"key_admin","data_key_id":"dk_1","nonce":"***"}', '\x5c2d3ae5d788e046ee5525072119850d9819d95b90345c95526c85a206d8f601', '\x618bf7380a1ca54c63f8007a6f5321561aa8f70bacfb50b22a8584546fc58eeb', '\x0cf3e22fc4aeb6be72362332adcdfe866180c9adbc55be97cafe3aa0baf6c916', '\xdb310a5c513016a015ef04749572fb16ad5b0df87f6b5fd14b80d491a3047521');
INSERT INTO public.audit VALUES (17, 1795375412380, 10, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x389b96d1a951f08c7f80f1a90d87fbae5b85f5c8ab6002641baed22ea265da76', '\x25af6ace9fb8f870bdbc7c37f3652a50ca8a744fd71a2a7c1131739bb3bba98a', NULL, 'del_pvdpm7o6uegnx7qiyph6', NULL, '{"fingerprint":"66f89f0622dd70a53bfea8143e55c47c220cea4e57c6fa2389e74ea04ff0f892"}', '\xe1e1ccacb0422f28538ca82e3a0f9f0a7b6ad9bd9b09a20f6ef71366944d2728', '\x05242cb55f8c3f95274609b1e13c22e1a61ae4e03106005eaa319e934d12a49c', '\xdb310a5c513016a015ef04749572fb16ad5b0df87f6b5fd14b80d491a3047521', '\x1c3bfbe3bbf0ec5323c21026895ded610854b0f1c7b9158a16cc35b8e25a7741');
INSERT INTO public.audit VALUES (4, 1795375412136, 4, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x0c764a9633e39f9e08bef8223d5079e6418ad50bf5788e61f30dd8421a51ea61', '\x28c854951cbd4571ec6a6550407e1e978bbca91fc31efea04416d17cd75fc5dd', NULL, NULL, NULL, NULL, NULL, '\x56c45ffa711853dd23d2e10df93ed54b6581d665c88e1ff20a8a1323d578565e', '\x251c378e42f44f96aae4b41648cd78c3c86a743b1e7274c7591cfb17d8a47550', '\x8adeca9b8ea7aace4351f48238722372c76dfbb1465943f9da530eee22d08f10');
INSERT INTO public.audit VALUES (18, 1795375412405, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xb82055e2004dff14fb956f3861a4e3c0dd0f9219b0c09c3bf0a8d5f9888b90e2', '\xf0bff63bad673e3dce508630a78a35a23b29512d188e42969cd3e6b3429411f1', NULL, NULL, NULL, '{"subject":[[4,4]]}', '\x9429ff70d42acc4b7a612ad7bba45cb882a453118846e326d21fd1aad5981ac1', '\xc4c7aac46a96ff400427605d844a51aa92b78361af203987d5d1236b391122eb', '\x1c3bfbe3bbf0ec5323c21026895ded610854b0f1c7b9158a16cc35b8e25a7741', '\x75fa594352e81a1c8b43c8a7ddb081585760b8f4a162916196fbec46d4d4824e');
INSERT INTO public.audit VALUES (19, 1795375412422, 11, 'user.erase', 'user', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xe28be815c32eb103fe7a8aab4a46c287ba0dc043518ccab589562f55ae989266', '\x8598252922b42922ad8548895e4f247da1144e40f4a90a53135a788b451bfb78', NULL, NULL, NULL, NULL, '\x0a283adbecf3f7a108f1ae42b80ce8d314b44100d2ddc84eec019631768ce5db', '\xd904cdcda83fc1d931c86ef67a7bbb771e69eb74e0fc9b4b7741b8ae2aeb9d7b', '\x75fa594352e81a1c8b43c8a7ddb081585760b8f4a162916196fbec46d4d4824e', '\x2a1b0734a9acfb4665324fa5c2f64c9bcffcc2dd1a1aeb0e5ca713802601fdb1');
INSERT INTO public.audit VALUES (8, 1795375412174, 8, 'key.create', 'key', 'user', NULL, NULL, NULL, NULL, NULL, '\x3e04c333cb1a615fe837e65e1011f4801351c08bf0080295b64f907546619251', NULL, NULL, NULL, NULL, NULL, '\x3a71e86e0271ee527295ddc61f59d3dbdd1eed5de74ca68943c682903e6bc45b', '\x54ed16cc304888d1d1406a1046ea3fe96560ec81abb92c767c6cc3a5ba5c961a', '\x7270558735d1843857bbee05db8320757509db77df6721240fe108cacf365f22');
INSERT INTO public.audit VALUES (10, 1795375412191, 9, 'credit_note.issue', 'credit_note', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x981a0b5a9f5dc9b3b506b9c5833d1d0d4199263a9f7977ad99a11d83c4c0c14c', '\x0853e0a0fcd928ff4e5026f993febc80c6fc79fe62d31c19b6d5766efabc6360', NULL, NULL, NULL, NULL, NULL, '\xb5fe9fe094d41a5ae4f7cc966de21de498a23b3c5042b064f0bae8d5e209878c', '\xf998c0447bb8b160006a5d947164ad226293546f27ce7a6f67283fb394022be1', '\x5780b649a3413096e61cc0239857310a27bb2888d73c92996874072fde7b8042');
INSERT INTO public.audit VALUES (12, 1795375412191, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xdf8f549597963aadf1e22872d0ac556aa677ba0b8fb24049f24b67487bb70a29', '\xe339ca9dc5129bf5bc3ae157f488ce2f1dbb5f9356030275d5a22069344af307', NULL, NULL, NULL, NULL, NULL, '\xc2f96e0d9c35994aab35381410ed1638d454ec4f5fdfb72c91e29c1424db047d', '\x71923eec7a22ca119fa524e45c2b7e9abab17d46f6f1605de8841736633a5566', '\xf7ec408714e135da958f3b6fbd45a73c14ea43c27df248b96b79ffea48156f53');
INSERT INTO public.audit VALUES (20, 1795375412442, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x5b8f5ecf807ef94a35aaefa60179dff77219943406c1a5ca904e4e2710ecc41f', '\xafa404713cf180265b6cde62c35856be5ffcb082ef6cbba45f006f315a3d40ad', NULL, NULL, NULL, '{"actor":[[8,8]],"subject":[[2,2],[8,10],[12,12]]}', '\xd1e9d3d8731d1781cee9e0d22fe3b321cd983c03d0cdb31ca7bad1049799e371', '\x9aa4d79e1902f83f036948dbb6871efda19d70d01c50ea7832342bf0cac239b2', '\x2a1b0734a9acfb4665324fa5c2f64c9bcffcc2dd1a1aeb0e5ca713802601fdb1', '\xd3d9fd6aaf91479b6723de527ae87b3593fdf1493648f30e8f280136371b11df');
INSERT INTO public.audit VALUES (21, 1795375412479, 12, 'tenant.erase', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x6ffde2f1dd79615e921452ce8a3f2f0c7caacf280521a68da206b74d1b695e8a', '\xb2436fdf5463e790ce610b30c209aefd05667638440a9e9d2d33927abc304e71', NULL, NULL, NULL, '{"rows":5}', '\x8cab6ec0d2e502d864dc6df6f6420878064c89868da4b644d7141b2cdf8076e0', '\xb73828e2e1381d2047e7d453bb6cef320b5429b5539c6ae58d32289192f01f1f', '\xd3d9fd6aaf91479b6723de527ae87b3593fdf1493648f30e8f280136371b11df', '\x00c2af27948258eeebf344e7123383ea74f66aaef25dec1f44d80151eec61851');
INSERT INTO public.audit VALUES (22, 1795375412580, NULL, 'tenant.deleted', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xb04195acb9ecf91df7bcf45d3720ad038f6c4cc90849adcccc602d8563fdc164', '\x3ac64d170e012ce771900e269a304b6b890f975522c80c649dc9d14aab3da270', NULL, 'del_pvdpm7o6uegnx7qiyph6', NULL, '{"stores":[]}', '\x47809f8c6a0da3420944fbddde09fa8ea02e16027bd3099037a8097b82982f88', '\x29efbf809374a7a29442116e467b3597ca1f3828dccc133da63cc43235160939', '\x00c2af27948258eeebf344e7123383ea74f66aaef25dec1f44d80151eec61851', '\xd2e71306621f5406d3277b39324215367dc228c1d7040fe68d90687f7f61aee6');
INSERT INTO public.audit VALUES (23, 1795375412580, NULL, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x2bf430a561e54d2f89229b5350a0f13ecd0656cab046db9612fb6e980254b847', '\x89253b0fc6bc9a7ffbea9f5aa39bfade0b5477ddbfa4b392757488f81e8165d0', NULL, 'del_2qx5gpktm35g4dnhef27', NULL, '{"fingerprint":"42f1c5fe8c006d90776fd35994e8c83a323a875e4d92f5748d0fec78a579b90a"}', '\xef8e74baec7744bfd58c79b9a1d7c5a860ca11703a2dc2c3830ca109dd3eab52', '\xdb05fe31fe4d1d51897342d31864e702d062610a42964fdf288f9e467b699f45', '\xd2e71306621f5406d3277b39324215367dc228c1d7040fe68d90687f7f61aee6', '\x0af0ad7a529cb9baef49eaf69641b266eacb57f6ea17af9d6cde034350223910');

INSERT INTO public.credit_accounts VALUES ('acme', 20779, 199999999999, '[[4105123200000,100000000000]]', 9, 1795375412191, 1795375412191, NULL);
INSERT INTO public.credit_accounts VALUES ('gone', 0, 0, '[]', 12, 1795375412191, 1795375412479, 1795375412479);

INSERT INTO public.credit_entries VALUES (2, 'credit_qkxp4uhiziuvdju7p7bg', 'acme', 'prepaid', 100000000000, 20849, '', NULL, 1795375412191, 'key_admin', NULL);
INSERT INTO public.credit_entries VALUES (3, 'credit_dfgv5m4wtim5f2m7bfsi', 'acme', 'prepaid', 100000000000, 47512, '', NULL, 1795375412191, 'key_admin', NULL);
INSERT INTO public.credit_entries VALUES (4, 'credit_q2a4liqh2vgy3vl7mxz4', 'acme', 'expired', -1, NULL, '', 2, 1795375412191, 'system:credits', NULL);
INSERT INTO public.credit_entries VALUES (1, 'credit_dok5x6lrc6447ewgdrb2', 'gone', 'prepaid', 100000000000, NULL, 'ü', NULL, 1795375412191, 'key_admin', 1795375412479);

INSERT INTO public.data_keys VALUES ('dk_1', '\x00000000000000000000000000000000000000000000000000000000000000000000000000000000', 'file:data-key', 1795375412191, 1795375412191);

INSERT INTO public.directory_version VALUES (1, 12, 0);

INSERT INTO public.events VALUES ('msg_1', 'acme', 1795375412191, '{"type":"invoice.issued"}');

INSERT INTO public.headgate_schema VALUES ('0001');

INSERT INTO public.hosts VALUES ('host_1', 'gateway-1', 1795375412362, 1795375412362, 1796173200000, 'at clickhouse:8123/headgate', NULL, '[]', '[]');

INSERT INTO public.idempotency_keys VALUES ('\x34301acb2d391123f50568586e9dae7610fd718cc23b757798bd0d03a294efb4', 'acme', '\x0000000000000000000000000000000000000000000000000000000000000000', 201, '\x7b7d', 1795461812191);

INSERT INTO public.invoices VALUES (2, 'INV-000002', 'credit_note', 'gone', '2026-11', 1, 1, 1795375412191, -1250, '{}', '\x44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', '<p></p>', '\xfe04a9dc88d3f3be8d4f6bc63a9a80f45a4c6d8460e7551dab849457c091920a', 1795375412479);
INSERT INTO public.invoices VALUES (1, 'INV-000001', 'invoice', 'gone', '2026-11', 1, NULL, 1795375412191, 1250, '{"number":"INV-000001"}', '\xf73b835b2463897f8cef3843bfbceb6d05c2137ae02354ce7a525b8deb3de975', '<p>ü</p>', '\x3f08d999915773475441df32aaf6d7f773b76fe587502b36fb6fcf45aee9e5cc', 1795375412479);

INSERT INTO public.key_uses VALUES ('acme', 'key_z3mhvkt6rnily4www7nt', 1796083200000);

INSERT INTO public.limits VALUES ('acme', 'tenant', 'acme', '{"rpm":9}', 9, 1795375412191, 1795375412191, NULL);

INSERT INTO public.lost_invoices VALUES ('OLD-', 7, 1795375412191);

INSERT INTO public.memberships VALUES ('acme', 'user_hz2ywxld5bbpnkecoji6', 'owner', 3, 1795375412115, 1795375412115, NULL);
INSERT INTO public.memberships VALUES ('gone', 'user_6ct6x54mtqqaw65feji2', 'developer', 11, 1795375412136, 1795375412422, 1795375412422);

INSERT INTO public.model_grants VALUES ('acme', 'chat', 'key_admin', 9, 1795375412191, 1795375412191, NULL);

INSERT INTO public.plans VALUES ('gold', 'Gold', '{"rpm":60,"tpm":{"limit":5,"soft":4}}', NULL, '{"models":{"chat":{"markup":"2.5%"}}}', 9, 1795375412191, 1795375412191, NULL);

INSERT INTO public.provider_credentials VALUES ('openai', 'api_key', '\x010203', '\x000102030405060708090a0b', 'dk_1', 'key_admin', 9, 1795375412191, 1795375412191, NULL);

INSERT INTO public.tenant_deletions VALUES ('del_pvdpm7o6uegnx7qiyph6', NULL, '\x66f89f0622dd70a53bfea8143e55c47c220cea4e57c6fa2389e74ea04ff0f892', 'key_admin', 1795375412380, '[]', 1795375412580);
INSERT INTO public.tenant_deletions VALUES ('del_2qx5gpktm35g4dnhef27', 'another', '\x42f1c5fe8c006d90776fd35994e8c83a323a875e4d92f5748d0fec78a579b90a', 'key_admin', 1795375412580, '[]', NULL);

INSERT INTO public.tenants VALUES ('acme', 'Acme', 'gold', '["eu"]', false, false, false, 30, '{"discount":"10%"}', '{"größe":"ü"}', 'key_admin', NULL, 1, 1795375412087, 1795375412087, NULL);
INSERT INTO public.tenants VALUES ('gone', '', NULL, NULL, false, false, true, NULL, NULL, '{}', '', 1795375412380, 12, 1795375412109, 1795375412479, 1795375412479);

INSERT INTO public.usage_gateways VALUES ('gateway-1', 'host_1', NULL, 9, 1152921504606846976, 1796173200000);

INSERT INTO public.users VALUES ('user_hz2ywxld5bbpnkecoji6', 'https://id.example', 'alice', 'alice@example.org', NULL, NULL, false, 3, 1795375412115, 1795375412115, NULL);
INSERT INTO public.users VALUES ('user_6ct6x54mtqqaw65feji2', '', '', NULL, NULL, NULL, true, 11, 1795375412136, 1795375412422, 1795375412422);

INSERT INTO public.virtual_keys VALUES ('key_z3mhvkt6rnily4www7nt', 'acme', 'ci', 'hg-Ab3xy', '\x8ac0d057eb92424d8feb52b122ec4aeaa53b473d0e63a5ab9763f3b1c3b5fd0f', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', 1801353600000, NULL, NULL, false, 5, 1795375412146, 1795375412146, NULL);
INSERT INTO public.virtual_keys VALUES ('key_uivkjmz7d5pne3eo3dyg', NULL, 'admin', 'hg-Ab3xy', '\xed8779550cfef35d33de701b200cea2784ca9ca5bb56be2420e72dd08f7780dd', 'p1', 'admin', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 7, 1795375412168, 1795375412168, NULL);
INSERT INTO public.virtual_keys VALUES ('key_vzhcahd7qtycv2xzb7fw', 'acme', 'old', 'hg-Ab3xy', '\x0c6ae4988d765aadf728fa5fd429f3a5e982d8248a3e98690ad4eb8c618b7bc8', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 9, 1795375412158, 1795375412191, 1795375412191);
INSERT INTO public.virtual_keys VALUES ('key_iwakg76odo3mqibsqhnz', 'gone', '', '', '\x6c841ad938a7750b99c1244c0755450f5ed672bf736b36f0043fd32a8cf43547', 'p1', 'developer', NULL, NULL, NULL, '{}', '', NULL, NULL, NULL, false, 12, 1795375412174, 1795375412479, 1795375412479);

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
