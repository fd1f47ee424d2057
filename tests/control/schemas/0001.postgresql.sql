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

INSERT INTO public.adapter_versions VALUES ('acme', 'bot', 1, 'live', 'abababababababababababababababababababababababababababababababab', NULL, 8589934592, 8, '{"lineage":["ü"]}', 100, NULL, '["host_1"]', NULL, 'key_admin', 1795354050650, 1795354050650, NULL, 9, 1795354050650, 1795354050650, NULL);
INSERT INTO public.adapter_versions VALUES ('gone', 'bot', 1, 'live', '', NULL, 8589934592, 8, '{}', 100, NULL, '[]', NULL, '', 1795354050650, 1795354050650, NULL, 12, 1795354050650, 1795354050755, 1795354050755);

INSERT INTO public.adapters VALUES ('acme', 'bot', 'chat', 1, 'key_admin', 9, 1795354050650, 1795354050650, NULL);
INSERT INTO public.adapters VALUES ('gone', 'bot', '', 1, '', 12, 1795354050650, 1795354050755, 1795354050755);

INSERT INTO public.audit VALUES (1, 1795354050592, 1, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xc68edf97a760c4f7f88e7b010294bc94619fd1c388cb68867a1e40be224ac5fd', '\x4a602f69f78d4977d1de0dfd7e0d75434412b24497bbfd9a906c7913d1ced4a6', 'acme', 'acme', NULL, '{"created_at":"2026-11-22T13:27:30.592Z","created_by":"key_admin","deleted_at":null,"deleting_at":null,"disabled":false,"display_name":"Acme","id":"acme","metadata":{"größe":"ü"},"pin_targets":false,"plan":"gold","pricing":{"discount":"10%"},"store_prompts":false,"updated_at":"2026-11-22T13:27:30.592Z","usage_retention_days":30,"version":1,"zones":["eu"]}', '\xfbdc4b2034774289f89a28a78f28d214a80f940eae81e427507c074eca728678', '\x6b592b189bebc7f855d3997a6941caae8d8f8f640126bc7bd4daac4f4ce0fc57', '\x0000000000000000000000000000000000000000000000000000000000000000', '\x44bbbda3dbe4b23c0484233651b9543700b5e36998c0d2471dc2f3520b928f33');
INSERT INTO public.audit VALUES (3, 1795354050617, 3, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x09779a54ebbe013042ebdba8983a669ce5b2f5332911bf021b9ce76586bc1643', '\x6143c59ef49e997711c3816dac0e79374755444903f59a5e69b89bac73990d2e', 'acme', 'user_yffbz4ndin7vbgedqxyy', NULL, '{"role":"owner"}', '\x94f440da48a4cc301b8a3e49db721f92bdfba3b652cf8196e5da7fb322394b7f', '\xcd48a3913bba84210a1b57b0c83953ad984d242e9441776bb4951dea01638113', '\x8b21615c703b7aa79c7ae9c6f5da2e7afd10d244125fc5f38593779c8bf22d2a', '\x6da3a10240c55ee930495ad041ee20f5ee3ca7b482a00f1a9b3cb354100c057d');
INSERT INTO public.audit VALUES (5, 1795354050633, 5, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xd79a5edfdcb0f5c83cd78e4172339ab77bfba2a33419a75727bd03a06c84a230', '\x8a23579db9895fb51764fefb19a043fc6c5edc784482cd52de6456c524781f1f', 'acme', 'key_wkoczt4a7mcu2x34vfbn', NULL, '{"created_at":"2026-11-22T13:27:30.633Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":"2027-01-31T00:00:00.000Z","id":"key_wkoczt4a7mcu2x34vfbn","limits":null,"metadata":{},"models":null,"name":"ci","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T13:27:30.633Z","valid_until":null,"version":5}', '\xde5c9d5dad4aab380b6a7e4e4aa58fd1ac8531443724869edae81adfd297eba6', '\x1a1f2eafa2c2dc9edc09f3b14fac414e448b3ba24aa74b7bc91065de4a8798d4', '\x96312d8c6cf3bebc9a3dafbc7c05ac7e09e11269a25a37a34875df72ebd36bee', '\x0460bd8859293e8f96987c39774b449f717c21557a16af71580c3f1419683ca3');
INSERT INTO public.audit VALUES (6, 1795354050639, 6, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xe7f723b27f0442e06ce0b3fe5a8e374f6ea31d4c2b3cdc6a04aebfb3003da3c5', '\x7ce8dc36d09ce2bc8589b1ccc233a34cebc44b484a62e5cd25ece71e4cfb1cf7', 'acme', 'key_pjqqrpcbz4vriybcltth', NULL, '{"created_at":"2026-11-22T13:27:30.639Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_pjqqrpcbz4vriybcltth","limits":null,"metadata":{},"models":null,"name":"old","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T13:27:30.639Z","valid_until":null,"version":6}', '\x3c010432363124bf9bf7e8ebf3f3b01d68b4e83e649aa4fde27e05c3225771ac', '\xd79afc8e3ea9376cde33f200d57dc673ea8313ee36ae8388bc1af9b423706cc9', '\x0460bd8859293e8f96987c39774b449f717c21557a16af71580c3f1419683ca3', '\x5404474dd0283a31030ca6361a517f5ef54016bccf84fee27364c5eab2ae5185');
INSERT INTO public.audit VALUES (7, 1795354050643, 7, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x5c21b889248bb0fcc3594cd54cfc36f929a24190686e63c8500dbe57ef1cb5ea', '\xd34953bfc61373632805cf5569f9562ec129dbe87043aa7403f5ee506894aa2e', NULL, 'key_ekkwvi5jc2sr4525kvzo', NULL, '{"created_at":"2026-11-22T13:27:30.643Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_ekkwvi5jc2sr4525kvzo","limits":null,"metadata":{},"models":null,"name":"admin","pepper_id":"p1","prefix":"hg-Ab3xy","role":"admin","rotated_from":null,"tenant_id":null,"updated_at":"2026-11-22T13:27:30.643Z","valid_until":null,"version":7}', '\xf696506aa8694207fe37d674b5ac779bc96eb3aae9d08f1676202dbe55a718cd', '\x061da4c9112fb8e0a94934e24f781316fb9e4185739f290fbe340e817b4688b5', '\x5404474dd0283a31030ca6361a517f5ef54016bccf84fee27364c5eab2ae5185', '\x1488aef22bade90a5d649335f11dc44d10380986082c25cfae77fcc731189528');
INSERT INTO public.audit VALUES (11, 1795354050650, 9, 'invoice.lost', 'invoice', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x465e6dbad7a037c390d3d67110803a927b46f45e5c39630850ec0eafda3c5966', '\x0deea2567f73a3f212c24a91710dc0eefb943a1aee34a3b99fc44ab78b4ed4b7', NULL, 'OLD-000007', NULL, '{"number":"OLD-000007"}', '\x9306dd33e462049de32e4af25de202b252ef9c836c65e5331ecd9f2eeb179057', '\xd98602cf6de9093a1de7cb136946c9718e46c0b44d6faad0b6cef82ce4e2bb30', '\xb9551fa8c64c859246f3d200afeb074ed69d03508b940deb67817c6828b2871c', '\x645bf2928d0a72666d7853123c9cd508e7ebe260ab5e5923fd417f6a511d7543');
INSERT INTO public.audit VALUES (13, 1795354050650, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x70290621e4186d46bdf1d93f44f01b1b7c7c8958651f233db1ba56e0160c1599', '\xda8bf095b21857b34eafa39972869c487530ccbf10c5ede43dbd6804c09d170e', 'acme', 'credit_omcvvthf3wfopu26hcqp', NULL, '{"amount_nano":100000000000,"ended":null,"expires_on":"2027-01-31","kind":"prepaid","note":""}', '\x6d3e855a98e6af9a2ce2e2636db283697c674b26f0b988c7235f136d2d2309fd', '\xf9abe8b644494a9ae92c237313b6ea4b75551d7be76f1b2eca2e93b60a4a16be', '\xca6a9bf8f0b5261525bb2d23e0bbb17205e3ece3c0d722556c9b979b301bf693', '\xa9c992ed9d592f20dc0bf10e69d3916284cee36b9d0d37264f4cf15340f50920');
INSERT INTO public.audit VALUES (14, 1795354050650, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x772ada7f3aafe7b102c283629d8d49b1bc7037b3003df11419b02f451442725f', '\x613872ebddb77d44817c3f1ad0ab13d95fcafb4ffc1451479a1c0d77e2dda0de', 'acme', 'credit_f5gwengd4ishihqm3b4w', NULL, '{"amount_nano":100000000000,"ended":null,"expires_on":"2100-01-31","kind":"prepaid","note":""}', '\xec44dd38874d8eb9ac18b76b9039f16bc8917bd8a4177d2a7a39fd494c25d8ba', '\x5096e1f2559d2c389604d927282835c30f066fea2a8e373a609066bf40e71b87', '\xa9c992ed9d592f20dc0bf10e69d3916284cee36b9d0d37264f4cf15340f50920', '\x5257d0d70b1f3364f06a870f54d1b1780dccd812338dafb52165bd7e3beab796');
INSERT INTO public.audit VALUES (2, 1795354050611, 2, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x5bc5987dc923c6af9744e7f48d50eddf64627d86406d012c3b591957975aaaa6', '\xb8135da45ed4c3c62d81376da8020bc2f09e78b618a0a570215f1bf943b1e2b2', NULL, NULL, NULL, NULL, NULL, '\xe4a0e704fa3f3a935a921ea4d3a30f7b5873638095a7bf81a981b0831110a8df', '\x44bbbda3dbe4b23c0484233651b9543700b5e36998c0d2471dc2f3520b928f33', '\x8b21615c703b7aa79c7ae9c6f5da2e7afd10d244125fc5f38593779c8bf22d2a');
INSERT INTO public.audit VALUES (9, 1795354050650, 9, 'invoice.issue', 'invoice', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xd1f98647abb8f6368223a9835399f5d9c0e29e1b1fe692aa5ff333f3409f3fe1', '\x46458a9b11b632dc01fa60121944f2b78f38512e2febfcfe6f9cec3df686e5d6', NULL, NULL, NULL, NULL, NULL, '\x7238689e39664373cd09154ef8fa6bf5501d5e4445910f0e15ded6b51a220cf5', '\x4c5f2146f450afd2b1edc2488bc25855cb8499333d81c0b070af638b799a6c85', '\x7d167f684b3dcc1ac78de8d2fdb5a5db5223904473c1bbd2397a15f21ce2b4c9');
INSERT INTO public.audit VALUES (15, 1795354050650, 9, 'credits.expire', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x1310ca6d4e3ca7900d8f5500abb0645a481fecb04fa0c56ba9c14110dff12ecd', '\x983991ed4d1aae38b782151d514df25bb40e97602975ac04d181fa70ce6d888d', 'acme', 'credit_f6osj7y4b3ww5h7pjedt', NULL, '{"amount_nano":-1,"ended":2,"expires_on":null,"kind":"expired","note":""}', '\x301d0b69197c227a2d67b0f4adfe9aab8127001195ff8c26bb3b8fc6b4fb645e', '\x76fb9402c0845c9f3307f3928ad7854c7bd91644448a815456da969e5d27abc1', '\x5257d0d70b1f3364f06a870f54d1b1780dccd812338dafb52165bd7e3beab796', '\x47fae3eb6830c679300aba05509277027863778ae6d70934fa9e2a3333a96fd4');
INSERT INTO public.audit VALUES (16, 1795354050650, 9, 'test.fill', 'directory', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x0c67c5643d4a4e55c4745548c96f88ab8d431f86a0bc8d7954b79d2e4ddfabf0', '\x8b2f50726bd3e9cac94cc0fc095734d1685647279ec47d02ac230b8e17809390', 'acme', NULL, '{"a":null}', '{"ciphertext":"***","created_by":"key_admin","data_key_id":"dk_1","nonce":"***"}', '\xe4b182439aae5c231005f491a3b4edde14a38927b4fe90a5977aa95fd1637d06', '\x23a1e2ede42fd3c31f059f6d1a9b6ceba238e85e8d31b6937172d674de8efd02', '\x47fae3eb6830c679300aba05509277027863778ae6d70934fa9e2a3333a96fd4', '\x618969d087ccc59983b570f429f81e080fa6183afac4beca4caa4dec9e68d969');
INSERT INTO public.audit VALUES (17, 1795354050722, 10, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x0592ca23d69e3c0394f08a9e3a69ab37061be3b8a86548a9447bdeaa2804f011', '\x221f1f46e95e0b8b9ac56f8b32b3a545522ec25555004fb5a56b916656634df4', NULL, 'del_mubmd47hd53osdvfr73p', NULL, '{"fingerprint":"69b2a348929b9290e0d88583a57ec0dcc8251afb104608344aa43488bdb85f10"}', '\xc895550815c17e8bc38ddb1810244ce7eb6dd56a2325c22017f492b3538d0c7d', '\x7a7fdbe4302b48e392ca7223a1f6e7ae1ccdef4d88f231dc18bec9a521a6534a', '\x618969d087ccc59983b570f429f81e080fa6183afac4beca4caa4dec9e68d969', '\x27fba5e5f042d0c0791b2e31dceeb30f9f636d04e0891b4322f4bbbd7438be59');
INSERT INTO public.audit VALUES (4, 1795354050628, 4, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x0e7f5c78b8d8099c76ffd750d43d41114ddb9e3ba846c518f91a6eebdb31ed3e', '\xfa0442064916e0459eb7312e1b9d8a557c9924f352853ef58146f92733200200', NULL, NULL, NULL, NULL, NULL, '\x7a1f7d1458706613764363b6ca82aaae14aec3623c9d1896ceaa95da7ccb3206', '\x6da3a10240c55ee930495ad041ee20f5ee3ca7b482a00f1a9b3cb354100c057d', '\x96312d8c6cf3bebc9a3dafbc7c05ac7e09e11269a25a37a34875df72ebd36bee');
INSERT INTO public.audit VALUES (18, 1795354050733, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xe75708166033eabd1a17b47dd285fbcc1c65e050fd3e6d10590e6130df47a8b1', '\x68d38c011239d16b44b953cbb4e99ace84cbf19a6b709af80b747c1adbe9c9af', NULL, NULL, NULL, '{"subject":[[4,4]]}', '\x61c7cd33f1eba846d7fa8a57e877403e06340ab9be19f5149b0dccbd47dd152d', '\x7fdfe9ff273b61659de1cfd8668fd964eba6bd883d939c65bd3c8c04bda72557', '\x27fba5e5f042d0c0791b2e31dceeb30f9f636d04e0891b4322f4bbbd7438be59', '\x00dec7880090059789bf41982dcb333b45b72c32ed5381700c15693eb0f991b9');
INSERT INTO public.audit VALUES (19, 1795354050741, 11, 'user.erase', 'user', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x1fd45c9c6704daad9138388fd7b31c52f0f00a22a8ecd0e69e28525fc52ba441', '\x521619b5315999391b85035896b0f1652273251fddf15853516a8b8fc26e554a', NULL, NULL, NULL, NULL, '\x103f8460db7973919a6d7aefc42b88e8f802cd6491c92bc79ab4c273a219d985', '\x9dfda2f5611b7f7320c2b3105c0cf875da87332c4c9607aeb2a796e5e20a19fa', '\x00dec7880090059789bf41982dcb333b45b72c32ed5381700c15693eb0f991b9', '\x275d083b49f526c1217ef820fd2b2feb5f79f33f3501a42f555ca8a80d8656cd');
INSERT INTO public.audit VALUES (8, 1795354050646, 8, 'key.create', 'key', 'user', NULL, NULL, NULL, NULL, NULL, '\xfd17df334a34163d899a429f3e0d385d045fa6a5c7c53500a9cd5c4bc1b6360d', NULL, NULL, NULL, NULL, NULL, '\xdcc38cdd28d870d870286f1c5aa82cdbcf0317db0f29640c0ed2c47c12b79de0', '\x1488aef22bade90a5d649335f11dc44d10380986082c25cfae77fcc731189528', '\x4c5f2146f450afd2b1edc2488bc25855cb8499333d81c0b070af638b799a6c85');
INSERT INTO public.audit VALUES (10, 1795354050650, 9, 'credit_note.issue', 'credit_note', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xcc065703aa07b5ab6efce8f9eccfc87a8ccd91d3142f666afce55d0e82c27c77', '\xb844c4c1f73c38982e353c24399583904b54877d6c8433afcbf2789fde9dc7ff', NULL, NULL, NULL, NULL, NULL, '\xeb19cab5562cc7e32c756bc08dd783d83c82c709a41b3cda16e3a3182afa747d', '\x7d167f684b3dcc1ac78de8d2fdb5a5db5223904473c1bbd2397a15f21ce2b4c9', '\xb9551fa8c64c859246f3d200afeb074ed69d03508b940deb67817c6828b2871c');
INSERT INTO public.audit VALUES (12, 1795354050650, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xa608c2d244324125aec01661bccbd1812d4c2a45bddf1a66d83bd07749915fbf', '\x51bc903d319c0f447434c867593f2b78fdfca42f24a3d163011e7843b816d8de', NULL, NULL, NULL, NULL, NULL, '\xdb30c4c29b703a3ee9de244bbb2d585147b529e4bb01865e3f0cbd363db44342', '\x645bf2928d0a72666d7853123c9cd508e7ebe260ab5e5923fd417f6a511d7543', '\xca6a9bf8f0b5261525bb2d23e0bbb17205e3ece3c0d722556c9b979b301bf693');
INSERT INTO public.audit VALUES (20, 1795354050747, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x311203962c42615c97d2c3b5c164c8bb1fdeafe26641e91b4322cd8c7e22de04', '\x2b98ba516e0322b9a6e1a32775dc68942cb0ea0fff208c285dabc6f1d6bffa6f', NULL, NULL, NULL, '{"actor":[[8,8]],"subject":[[2,2],[8,10],[12,12]]}', '\xfffe8f5bc9c0668fb818730095a4337d10ce5d285a34c61837b77ccebffa7a37', '\x0f578230d3f275afea62163042c2b9edb49db83594c6eead1c6872a94697e334', '\x275d083b49f526c1217ef820fd2b2feb5f79f33f3501a42f555ca8a80d8656cd', '\x9e633a9eb85385c27f5fa33105ed1449ab7583c3cc07962dbb38b207359f6427');
INSERT INTO public.audit VALUES (21, 1795354050755, 12, 'tenant.erase', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x07d2ee6f1d9995d57c8fcc175a4a71a4be3ee43650a14d2648aa1b703b913588', '\x090aecc834273b2654044e6820844bcbcd2d3a2b0f79d1b2bb4951cbe3f31913', NULL, NULL, NULL, '{"rows":5}', '\x7039ae9232b75635f1de6124e1b3c2be36c709bd35dcd71a25bbc1968ba874b7', '\xbdca3df377937d6121090b6f7dfcbb128d59a282a319d8430567da9ffb192821', '\x9e633a9eb85385c27f5fa33105ed1449ab7583c3cc07962dbb38b207359f6427', '\x8a73d41f93508a576d4bc62698f94946b936d57e1f402f1e68795d8c8ffa6424');
INSERT INTO public.audit VALUES (22, 1795354050779, NULL, 'tenant.deleted', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x5f1693df839046ca16e1ce3cb18fd548da0dfa88d6c0fbe38a003002116679c0', '\xc393aa4db350da6cfc6cb3be1a5c14d1fd64701559e947a114b47c26fed5cb3f', NULL, 'del_mubmd47hd53osdvfr73p', NULL, '{"stores":[]}', '\xa0cb1eebff61222f23d6af674846a8692382215a6fcc6f31177a3381d162cd30', '\xd033e7398334c9291338345e3fccc5ece0ba451b0fa06340a5564484a6586067', '\x8a73d41f93508a576d4bc62698f94946b936d57e1f402f1e68795d8c8ffa6424', '\x9b8fb02fe7fd748b6eb219d6327adad80a852cd08b5e4ef8d6615975041d8432');
INSERT INTO public.audit VALUES (23, 1795354050779, NULL, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x51cc9b16d9f750434b1f72c96b0b2840d721774e1008704412d351931545c12b', '\x249a72809f21a8309a80673fad59eb20d41e70137e69f07c0019568121a8ed42', NULL, 'del_ohslpumeyiblkiwi3nk4', NULL, '{"fingerprint":"85d630adc64fe87643a161bc8e70f55aa7bf3c3044266aa9e6a67dc5e9c17e74"}', '\xae37a75a3014b8ad2b10269d75bdcceab8550c034641b3ed7874c068e66fbfb6', '\x1721380a263a30955515ee55e42aab7a2f447c70e808dca0d1afd44f5b565821', '\x9b8fb02fe7fd748b6eb219d6327adad80a852cd08b5e4ef8d6615975041d8432', '\x9d881fdcea86b5d24217b185992559608bed380702e77985686558f64bbdceb8');

INSERT INTO public.credit_accounts VALUES ('acme', 20779, 199999999999, '[[4105123200000,100000000000]]', 9, 1795354050650, 1795354050650, NULL);
INSERT INTO public.credit_accounts VALUES ('gone', 0, 0, '[]', 12, 1795354050650, 1795354050755, 1795354050755);

INSERT INTO public.credit_entries VALUES (2, 'credit_omcvvthf3wfopu26hcqp', 'acme', 'prepaid', 100000000000, 20849, '', NULL, 1795354050650, 'key_admin', NULL);
INSERT INTO public.credit_entries VALUES (3, 'credit_f5gwengd4ishihqm3b4w', 'acme', 'prepaid', 100000000000, 47512, '', NULL, 1795354050650, 'key_admin', NULL);
INSERT INTO public.credit_entries VALUES (4, 'credit_f6osj7y4b3ww5h7pjedt', 'acme', 'expired', -1, NULL, '', 2, 1795354050650, 'system:credits', NULL);
INSERT INTO public.credit_entries VALUES (1, 'credit_tcvddsfqctbx4juenshg', 'gone', 'prepaid', 100000000000, NULL, 'ü', NULL, 1795354050650, 'key_admin', 1795354050755);

INSERT INTO public.data_keys VALUES ('dk_1', '\x00000000000000000000000000000000000000000000000000000000000000000000000000000000', 'file:data-key', 1795354050650, 1795354050650);

INSERT INTO public.directory_version VALUES (1, 12, 0);

INSERT INTO public.events VALUES ('msg_1', 'acme', 1795354050650, '{"type":"invoice.issued"}');

INSERT INTO public.headgate_schema VALUES ('0001');

INSERT INTO public.hosts VALUES ('host_1', 'gateway-1', 1795354050713, 1795354050713, 1796173200000, 'at clickhouse:8123/headgate');

INSERT INTO public.idempotency_keys VALUES ('\x34301acb2d391123f50568586e9dae7610fd718cc23b757798bd0d03a294efb4', 'acme', '\x0000000000000000000000000000000000000000000000000000000000000000', 201, '\x7b7d', 1795440450650);

INSERT INTO public.invoices VALUES (2, 'INV-000002', 'credit_note', 'gone', '2026-11', 1, 1, 1795354050650, -1250, '{}', '\x44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', '<p></p>', '\xfe04a9dc88d3f3be8d4f6bc63a9a80f45a4c6d8460e7551dab849457c091920a', 1795354050755);
INSERT INTO public.invoices VALUES (1, 'INV-000001', 'invoice', 'gone', '2026-11', 1, NULL, 1795354050650, 1250, '{"number":"INV-000001"}', '\xf73b835b2463897f8cef3843bfbceb6d05c2137ae02354ce7a525b8deb3de975', '<p>ü</p>', '\x3f08d999915773475441df32aaf6d7f773b76fe587502b36fb6fcf45aee9e5cc', 1795354050755);

INSERT INTO public.key_uses VALUES ('acme', 'key_wkoczt4a7mcu2x34vfbn', 1796083200000);

INSERT INTO public.limits VALUES ('acme', 'tenant', 'acme', '{"rpm":9}', 9, 1795354050650, 1795354050650, NULL);

INSERT INTO public.lost_invoices VALUES ('OLD-', 7, 1795354050650);

INSERT INTO public.memberships VALUES ('acme', 'user_yffbz4ndin7vbgedqxyy', 'owner', 3, 1795354050617, 1795354050617, NULL);
INSERT INTO public.memberships VALUES ('gone', 'user_ynzkxjwq5e5bmoariecm', 'developer', 11, 1795354050628, 1795354050741, 1795354050741);

INSERT INTO public.model_grants VALUES ('acme', 'chat', 'key_admin', 9, 1795354050650, 1795354050650, NULL);

INSERT INTO public.plans VALUES ('gold', 'Gold', '{"rpm":60,"tpm":{"limit":5,"soft":4}}', NULL, '{"models":{"chat":{"markup":"2.5%"}}}', 9, 1795354050650, 1795354050650, NULL);

INSERT INTO public.provider_credentials VALUES ('openai', 'api_key', '\x010203', '\x000102030405060708090a0b', 'dk_1', 'key_admin', 9, 1795354050650, 1795354050650, NULL);

INSERT INTO public.tenant_deletions VALUES ('del_mubmd47hd53osdvfr73p', NULL, '\x69b2a348929b9290e0d88583a57ec0dcc8251afb104608344aa43488bdb85f10', 'key_admin', 1795354050722, '[]', 1795354050779);
INSERT INTO public.tenant_deletions VALUES ('del_ohslpumeyiblkiwi3nk4', 'another', '\x85d630adc64fe87643a161bc8e70f55aa7bf3c3044266aa9e6a67dc5e9c17e74', 'key_admin', 1795354050779, '[]', NULL);

INSERT INTO public.tenants VALUES ('acme', 'Acme', 'gold', '["eu"]', false, false, false, 30, '{"discount":"10%"}', '{"größe":"ü"}', 'key_admin', NULL, 1, 1795354050592, 1795354050592, NULL);
INSERT INTO public.tenants VALUES ('gone', '', NULL, NULL, false, false, true, NULL, NULL, '{}', '', 1795354050722, 12, 1795354050611, 1795354050755, 1795354050755);

INSERT INTO public.usage_gateways VALUES ('gateway-1', 'host_1', NULL, 9, 1152921504606846976, 1796173200000);

INSERT INTO public.users VALUES ('user_yffbz4ndin7vbgedqxyy', 'https://id.example', 'alice', 'alice@example.org', NULL, NULL, false, 3, 1795354050617, 1795354050617, NULL);
INSERT INTO public.users VALUES ('user_ynzkxjwq5e5bmoariecm', '', '', NULL, NULL, NULL, true, 11, 1795354050628, 1795354050741, 1795354050741);

INSERT INTO public.virtual_keys VALUES ('key_wkoczt4a7mcu2x34vfbn', 'acme', 'ci', 'hg-Ab3xy', '\xe9e5c488e7a595b6b9905569a0677e5d223472347e3d6e6036ecc3d6109bff95', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', 1801353600000, NULL, NULL, false, 5, 1795354050633, 1795354050633, NULL);
INSERT INTO public.virtual_keys VALUES ('key_ekkwvi5jc2sr4525kvzo', NULL, 'admin', 'hg-Ab3xy', '\xd8925a9d314ce8ca3ab2f79db8f3601e4c7765d8321705f699615f98153351b9', 'p1', 'admin', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 7, 1795354050643, 1795354050643, NULL);
INSERT INTO public.virtual_keys VALUES ('key_pjqqrpcbz4vriybcltth', 'acme', 'old', 'hg-Ab3xy', '\x92cf4e8b41ae1ffecdf572da496c800bb4e1e1a2fda321b0aec33bbf52e4159d', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 9, 1795354050639, 1795354050650, 1795354050650);
INSERT INTO public.virtual_keys VALUES ('key_x3h47phx5moe35qojtz3', 'gone', '', '', '\xfedb7079b325cd2c7d3598ad328660b18ffb534ec1d04c903fcf06554b8f58ee', 'p1', 'developer', NULL, NULL, NULL, '{}', '', NULL, NULL, NULL, false, 12, 1795354050646, 1795354050755, 1795354050755);

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
