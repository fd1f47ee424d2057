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
    wanted_back boolean NOT NULL,
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

INSERT INTO public.adapter_versions VALUES ('acme', 'bot', 1, 'live', 'abababababababababababababababababababababababababababababababab', NULL, 8589934592, 8, '{"lineage":["ü"]}', 100, NULL, NULL, false, '["host_1"]', NULL, 'key_admin', 1795390941294, 1795390941294, NULL, NULL, 9, 1795390941294, 1795390941294, NULL);
INSERT INTO public.adapter_versions VALUES ('gone', 'bot', 1, 'live', '', NULL, 8589934592, 8, '{}', 100, NULL, NULL, false, '[]', NULL, '', 1795390941294, 1795390941294, NULL, NULL, 12, 1795390941294, 1795390941387, 1795390941387);

INSERT INTO public.adapters VALUES ('acme', 'bot', 'chat', 1, 'key_admin', 9, 1795390941294, 1795390941294, NULL);
INSERT INTO public.adapters VALUES ('gone', 'bot', '', 1, '', 12, 1795390941294, 1795390941387, 1795390941387);

INSERT INTO public.audit VALUES (1, 1795390941253, 1, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xb1219c75d5471662882b516468c36218aef8550616a824cf9bd71c2c5ea356bb', '\x654c6ccafea487804ed2b3d68aa1059501bb5c03359a4118597620c452e6f025', 'acme', 'acme', NULL, '{"created_at":"2026-11-22T23:42:21.253Z","created_by":"key_admin","deleted_at":null,"deleting_at":null,"disabled":false,"display_name":"Acme","id":"acme","metadata":{"größe":"ü"},"pin_targets":false,"plan":"gold","pricing":{"discount":"10%"},"store_prompts":false,"updated_at":"2026-11-22T23:42:21.253Z","usage_retention_days":30,"version":1,"zones":["eu"]}', '\xddb4ba3549fd85cbc87e1439a7f1e645e1ab2ff0e34a2e5f511dd4bf3b4096bc', '\xdc2551f00ca53a226b7095f781c891c219d8e0d1b6156199546bec77ef260224', '\x0000000000000000000000000000000000000000000000000000000000000000', '\x6d42f62d9075a87f0e121e419863e734dba302f475b34b4b5c3e46fe53a755c9');
INSERT INTO public.audit VALUES (3, 1795390941266, 3, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x691112dd919fcd25f0bd796ac89e94cd8239e484e75789b79dd487390ab6106c', '\xc4663159a78f96dc4b525a36a4b2971a4c6691911c3bbb17acb1515e454d389f', 'acme', 'user_nnf76yra6umooi7lo5nc', NULL, '{"role":"owner"}', '\x0e89172fe17acfdc95377a038e8fe9842cb656ff8ffcb9f3f97e8f372cfd33b0', '\x79b121ece506a45a38bbd9b8c8501f2246d80e295e27962ba617fe2923084aa1', '\x72e75bbd822f94efebfc1df499edc14f931606b35cff3dc418cbcc99fe2678d7', '\x1ff530ac809d6c6bf5ab20b9a05cb1aa282e32e30ee8a3d60ae5b805962a9e73');
INSERT INTO public.audit VALUES (5, 1795390941279, 5, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x69faf298503fb78c09d1f8ac2e9e9b4cf8d8000bfcf896e8eed3d17f51ae973c', '\xa587fd12ccb83d70e8315bdf70439762d9cbe8f479b8ba08d36b888366ca6964', 'acme', 'key_qtt7crglnugk2nrzjvvz', NULL, '{"created_at":"2026-11-22T23:42:21.279Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":"2027-01-31T00:00:00.000Z","id":"key_qtt7crglnugk2nrzjvvz","limits":null,"metadata":{},"models":null,"name":"ci","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T23:42:21.279Z","valid_until":null,"version":5}', '\xc3596f14acece44c6d246ddcb8b49f33c2463be7e108f3014040d23b2961c704', '\xdf0cb9ffff2ef16fbd352fdbe4ee343872ca38878e61cdee593c8a4e727eb7f3', '\x3dd9427a807f7bb775e70669a32e36e25300a4ba418daf8e4abcc14bd78d5bab', '\x74d9359d316a9e97af6ce1c4e8d18ccf54192d8a30fa32a969e5a1e138b1d131');
INSERT INTO public.audit VALUES (6, 1795390941284, 6, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x3a4b2c925c551a901bd8b82f8fbd4e5c508e11d52aea101c400925bfb1e9619e', '\x81b54d09f3b7bb6a96bcd564ce1e30274cf9a31597016c4176bc0d1aae8e7fac', 'acme', 'key_z5zwgwswwqsaba4atrnb', NULL, '{"created_at":"2026-11-22T23:42:21.284Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_z5zwgwswwqsaba4atrnb","limits":null,"metadata":{},"models":null,"name":"old","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T23:42:21.284Z","valid_until":null,"version":6}', '\xb91251564e2771582c5fee5601e15f8d348b72fd46588e28f7e4e84e84f08ec9', '\x5271c294d638fd5fecac72c9f1970fc15ee17c332edb8ab080ce8e4c24c9f520', '\x74d9359d316a9e97af6ce1c4e8d18ccf54192d8a30fa32a969e5a1e138b1d131', '\x4aea5959325c5d26581761c0c569d0d1a12f2985511ad73f077d3a7a4072beea');
INSERT INTO public.audit VALUES (7, 1795390941288, 7, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x7ae4bdaa26ec7defdb919acbd390c2cebfca8eb013436a8667267aa6b85f2050', '\x19dc4958f3f6a1f3828bd27fe2af5c6cca09bfd477c6c98bf7a6a37e9bd38904', NULL, 'key_64uongodorma6hsltgdc', NULL, '{"created_at":"2026-11-22T23:42:21.288Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_64uongodorma6hsltgdc","limits":null,"metadata":{},"models":null,"name":"admin","pepper_id":"p1","prefix":"hg-Ab3xy","role":"admin","rotated_from":null,"tenant_id":null,"updated_at":"2026-11-22T23:42:21.288Z","valid_until":null,"version":7}', '\xb0b90445186fe8b9aad98615f7ffb07505823094d7e898fa1ef58d0e901b6945', '\xf4d194c7939797af896192561a381484b6c88397e8a3e2eaeda0cedaa097ad1b', '\x4aea5959325c5d26581761c0c569d0d1a12f2985511ad73f077d3a7a4072beea', '\xa2c4f4d2475d278774e96819c7b075d97d9a540d4265e93d29100c13884dfcd6');
INSERT INTO public.audit VALUES (11, 1795390941294, 9, 'invoice.lost', 'invoice', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xd80082d55feced26e938031ef580d7673d699b4f9158d425581d0fd835aa2435', '\xcfc0247ead3cf1b393b3781992f0a4ee47b51bc3ab9f0a1fed6b1d120a568ba3', NULL, 'OLD-000007', NULL, '{"number":"OLD-000007"}', '\xadb30f6905fe449ebca3f9dac18c4bc0e73989d3ff6524a41ab4af40bc20238f', '\x70e722a866cc9e3aa444cd2ecc74ff60b408d2f4404d74b4e37db3ab41eedd25', '\xe0967b06474eee83014f06a9316c92faa7ccc3a0842055bb55baca050ce88611', '\xd18d5a1b3a509c6a89cf7de50eeca594100fc9aaa1e9774870d5981ef379c7e9');
INSERT INTO public.audit VALUES (13, 1795390941294, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x8e231eb1d6f5965f37b216be2c9c6c9187923aff01c66191c9a13684d972a3cf', '\x04d3a4b00df76905ebd4f30d201d31c5f37d1aed66367aaa0d4228bf17af9b07', 'acme', 'credit_nis6jlzmj3vlpyyrxfni', NULL, '{"amount_nano":100000000000,"ended":null,"expires_on":"2027-01-31","kind":"prepaid","note":""}', '\x55fb2978f11fecf813451ceab72054921023f2c7858bdc39afbfe214cf06a832', '\x206e60fc05146a1ae6e1bac642b53c137d400363ad2e273b20767e220e556704', '\x31f898dbe122818a5993401f09d1ae9f9768518d7497d0bcad58f658092b5972', '\x91dc5d5ff9fcc886de50705f247e0b42f7dc93a1b16fca512a0a588f0ac6cb6c');
INSERT INTO public.audit VALUES (14, 1795390941294, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x127f0c0540c3bb3ea1d2a0f87e85b8831076b542cd97372282d685924e541962', '\x4f4601f16924b95959da6d4e19e6a82f8306f31ebaca41cf7eca5a1524ae2c99', 'acme', 'credit_z4aln74thw6b6wa2bidq', NULL, '{"amount_nano":100000000000,"ended":null,"expires_on":"2100-01-31","kind":"prepaid","note":""}', '\x9040029a3b8037e798ea92d865a66364856f30808228792ddd78ec5c51fe0c9f', '\x619626d924afe0f3b9d9789cb3179ef9bdbefbb3163a498a2a270d1113abd1fa', '\x91dc5d5ff9fcc886de50705f247e0b42f7dc93a1b16fca512a0a588f0ac6cb6c', '\x49020e557640f0557c83bc54b3e36b9b46e5b9745a9eb3b1f561f6c16c82a7bf');
INSERT INTO public.audit VALUES (2, 1795390941263, 2, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xb74a1a40276d900325ebad558441bc93f636333153eb6a4dc38ca6ed28de5fc7', '\xe2fecbb0d070db1a4c9ec621637ff775df56e3c90762c85e0d87f347f351877e', NULL, NULL, NULL, NULL, NULL, '\xbc77725057fa1720c119fc7fb2fa02c9de8e136a53d14bc208a91f4bb13140be', '\x6d42f62d9075a87f0e121e419863e734dba302f475b34b4b5c3e46fe53a755c9', '\x72e75bbd822f94efebfc1df499edc14f931606b35cff3dc418cbcc99fe2678d7');
INSERT INTO public.audit VALUES (9, 1795390941294, 9, 'invoice.issue', 'invoice', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x490e7680e04bca197b9e7972c1e08c717eb34284d7b375bbb69d609225993429', '\xe7d6565e4023954d79ed756830f8e1b15a15f3b09fee2308f94861659987cc23', NULL, NULL, NULL, NULL, NULL, '\xd9b94c0c6358d6b954f6d643691dfe7911412af69676e74bdc125c89a8d68102', '\x8b62cdad56f3db83d73c68ee6910c4e6fc0ce49321a14ed3f5b2f50b7e925823', '\xbd30282a20276b5507c80c512e7fc4a892924250c07e3bc20807f058a91c724f');
INSERT INTO public.audit VALUES (15, 1795390941294, 9, 'credits.expire', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xcd2a7e6b824a94cc2ce8fd67bfa3c9277d4398c7a379ef980c342e86b0355d87', '\xf58615f47aaa69bd025f1e3962fe70f9cf0784bfc6420d4da8271170263413dd', 'acme', 'credit_za64byvr3twkmyqwiqww', NULL, '{"amount_nano":-1,"ended":2,"expires_on":null,"kind":"expired","note":""}', '\xdd6f9a32ca78b1caee0fcc5757feac0b29e756a47d0c3baa5cef33b5bbe9fcff', '\x4edd9fe10fe79e3cddd9bd1280c31f72778cad5ee5ebb39f140eceeaad086ef5', '\x49020e557640f0557c83bc54b3e36b9b46e5b9745a9eb3b1f561f6c16c82a7bf', '\xfdd1dc4fe0b197047487b0a21d826306429884f791c4cb11dd8721a562b0c834');
INSERT INTO public.audit VALUES (16, 1795390941294, 9, 'test.fill', 'directory', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xd0e03668f375be3cfbae7c30f24bcd6da50546abf81584625fd9ee0da23916cf', '\xd031fdf0687cd6996fca9ce88ade0e61cb24852d76a77f4afacc26aca7422907', 'acme', NULL, '{"a":null}', '{"ciphertext":"***","created_by":"key_admin","data_key_id":"dk_1","nonce":"***"}', '\x1231ec481e0be3c446b9a4c21a91dabcf85c80c82c31df2bc757cfded39f7fa1', '\xa0e353fedcc881852f099a35d8b0edf96a740f304a2d403c01a16e246fc710fa', '\xfdd1dc4fe0b197047487b0a21d826306429884f791c4cb11dd8721a562b0c834', '\x6f7d1521016c6d500164fdd58c9a2781ff16997a447f00c9379a66a0855d78af');
INSERT INTO public.audit VALUES (17, 1795390941356, 10, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x9d8fa8e9b4b5aa904fce1f2db5828340b51baa7b7dfffae5f606a10615cacc90', '\x52c05d9cc4ac923a9ae9322471319dc32da435d32043ca65d8c04712fd965764', NULL, 'del_gsck4hux4sx23izephvi', NULL, '{"fingerprint":"770b881a642e115d2a1ee98e7aecb6529af5d42ddea430f8a7f242d00f337dfe"}', '\xc5b8b1f450e602cbe09a687a0b820a8fa5e887f793795da78f305e28dd68efd6', '\x55157756660c656ae847f1a02172be196b2fa7d8c03ff196fd114a200ba8ee99', '\x6f7d1521016c6d500164fdd58c9a2781ff16997a447f00c9379a66a0855d78af', '\x70892e6b3c5e33a29d0725361eea12b08070f51704c4dd645e36a80c5e88f3cf');
INSERT INTO public.audit VALUES (4, 1795390941274, 4, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xc0d3284d55afff61c06b67e230fd03f2fd5d552dc02855c0719eb9c6a472274e', '\x6ba7526fa9afa870193123d99370dcad081517aeebd5924214e43c1a87bdb4d2', NULL, NULL, NULL, NULL, NULL, '\x9330caceb9b533a9c45ce4fcc144e2d389aa1141baba45b0f4e2c8bb0edbb678', '\x1ff530ac809d6c6bf5ab20b9a05cb1aa282e32e30ee8a3d60ae5b805962a9e73', '\x3dd9427a807f7bb775e70669a32e36e25300a4ba418daf8e4abcc14bd78d5bab');
INSERT INTO public.audit VALUES (18, 1795390941366, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x6f37acdf346d23b11221535a9c1120e24c1edad3977be98114f855bf166bb638', '\xb689e98cdf8d48cb4ca8cf2943faf73d35911cb44aab9fb1786c8b5c715e31a3', NULL, NULL, NULL, '{"subject":[[4,4]]}', '\x9bb23f4caf90700904735c184f6f7f493541bea16a633a834115cbc520577827', '\x4cd24ea4cfbdab0c8461dcd5bde61395a98afffd75c8c2efcb13428ea72ec5c0', '\x70892e6b3c5e33a29d0725361eea12b08070f51704c4dd645e36a80c5e88f3cf', '\x7cdda9248261d12c5d37241ddee1a4da0c0dbbaa25baf5187ae67a1bc9c625f0');
INSERT INTO public.audit VALUES (19, 1795390941374, 11, 'user.erase', 'user', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x9a9243d4cfb2c51bebd8d62d538fe04ae0606b9df76f1000678da1a2da19fcfd', '\x918b53684956ed1f4f83b30c85c923ae128f1d3133c70eba3b2982b8f2491cb2', NULL, NULL, NULL, NULL, '\x7e216cb912ebacd7256ffdac26a14963871d8ab2b328aeece6be3b6c523dafb3', '\x173bd88ca953b708c15b205be25246845693381184196b4ed4e4c537b3c1b2e3', '\x7cdda9248261d12c5d37241ddee1a4da0c0dbbaa25baf5187ae67a1bc9c625f0', '\x2714f0599e1c989d862d15759b44e050c6ab58dce62d8625a8f5a1a034048984');
INSERT INTO public.audit VALUES (8, 1795390941291, 8, 'key.create', 'key', 'user', NULL, NULL, NULL, NULL, NULL, '\x5ed9aa6c0b62a694a690f8371f81881997c25fb13518768f592019f10f0c5509', NULL, NULL, NULL, NULL, NULL, '\xdeed93e1a6156f0e6882e51275969647c9c59b735c144f40e22e467540b1b748', '\xa2c4f4d2475d278774e96819c7b075d97d9a540d4265e93d29100c13884dfcd6', '\x8b62cdad56f3db83d73c68ee6910c4e6fc0ce49321a14ed3f5b2f50b7e925823');
INSERT INTO public.audit VALUES (10, 1795390941294, 9, 'credit_note.issue', 'credit_note', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xe137287e35f7b9aed7d004ce0e8b1bd8f10330a9faa4b3c39c0739d604337eb0', '\xba408f0dcb2aed8bae89ff5af7b4f62ac6bd9920bedc0032403230b94dd55fdb', NULL, NULL, NULL, NULL, NULL, '\xf032d22f6f5f1c3b07056e2019765b25b39930a7f02c6f51b05c05deaf9484e1', '\xbd30282a20276b5507c80c512e7fc4a892924250c07e3bc20807f058a91c724f', '\xe0967b06474eee83014f06a9316c92faa7ccc3a0842055bb55baca050ce88611');
INSERT INTO public.audit VALUES (12, 1795390941294, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x318c280e586de25590639c5278c9960ad6cf11f6c2bade6560322141de1a4e8e', '\x9fe157f4552e3dd76c43674dcb13563cfe0527b742e2d968b39a83579a5c611e', NULL, NULL, NULL, NULL, NULL, '\xb6c50429ce4f1e52bcd32f57090f69492b57c6d83d3a46ac7d3de8f6a962e3f8', '\xd18d5a1b3a509c6a89cf7de50eeca594100fc9aaa1e9774870d5981ef379c7e9', '\x31f898dbe122818a5993401f09d1ae9f9768518d7497d0bcad58f658092b5972');
INSERT INTO public.audit VALUES (20, 1795390941379, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xf51932f75c9918eeb01f6e37f011cdd98e587809df25da6e2c4bd61e5124596d', '\xbc4b670e84f6bc0d2298bcbbe3b3a3639e3fa458a937a4a0c56cf861bb2c9c97', NULL, NULL, NULL, '{"actor":[[8,8]],"subject":[[2,2],[8,10],[12,12]]}', '\xb12169a1702d5018e744f20d81bfb7f366f67d6b81d631055be8744900834a7e', '\x2a70dd272cbf7a3b9f6dcf442efedb78e049cc883d77a085c9ad448cc9876956', '\x2714f0599e1c989d862d15759b44e050c6ab58dce62d8625a8f5a1a034048984', '\xd7132b8c410099ed146c851a25fae4b1fb29e20ba81bbd9152cc58245ba1f9e4');
INSERT INTO public.audit VALUES (21, 1795390941387, 12, 'tenant.erase', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x9a08a475e8836c7c89286916a916a743e9c290c5065c32c9825daae2dd00839a', '\xfe54363196adcd055c2fab5ca80aad98433d68049b29db7cff9c99b17b3ae426', NULL, NULL, NULL, '{"rows":5}', '\x297c215889f5f217a1b3e328a58307dfff44e428f0601cce1cd8c674bd0546c7', '\xf2ba170821b150e6765b82d02fb2cb2229b893d15073625f5e4552b45eba8c07', '\xd7132b8c410099ed146c851a25fae4b1fb29e20ba81bbd9152cc58245ba1f9e4', '\x3c406fb71ed52fc564ed611db68b48b8f4b806eb3d2f43b75446d376d40bc046');
INSERT INTO public.audit VALUES (22, 1795390941412, NULL, 'tenant.deleted', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xd99227cafb45ee5bbb1b55e1b97273c04887a2c08869ebe72baddf7b610a7826', '\xebded1e63c0f3b9774c5221c6ddc54bd6fc938a302a37d755e3195ca2365ee7c', NULL, 'del_gsck4hux4sx23izephvi', NULL, '{"stores":[]}', '\xec5b464218ac762b3ab9d2bac7579f3219462f9e173a2b6adaf50a88bc1b11a3', '\x582b1ff1b8f4cfc96dbcb6976096260f74382a7c73f030316fadb8e7a4703bbb', '\x3c406fb71ed52fc564ed611db68b48b8f4b806eb3d2f43b75446d376d40bc046', '\xcfd84321e199e6b5251979ce79b6697531422b9b7e45d0c9674d328371ea1184');
INSERT INTO public.audit VALUES (23, 1795390941412, NULL, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x4f12e644572051b3615be9612776d987a0488981f5144c39a2a770d67ac3684d', '\xcfb82dda0babe0814fa50ef84fa78ae693730375315f0fa5a780efb966ec58ab', NULL, 'del_fxbplbdmodtcaaejrosp', NULL, '{"fingerprint":"40954049ba65ff46136b4671a987cc598a7ed21f58a3d9bfcd1ff815565c277f"}', '\xfc22787029d2120059ba93474c17631e6bba3041e18b10b74d5886e41b5eb0e1', '\x8b974b0294cf7f39e68f22f9912e3e625d12a961fcf037d619949314db349db6', '\xcfd84321e199e6b5251979ce79b6697531422b9b7e45d0c9674d328371ea1184', '\x1c3f898605582a8f800ceaff8425f17e932214ffb499a6567fbd9ca5a2464546');

INSERT INTO public.credit_accounts VALUES ('acme', 20779, 199999999999, '[[4105123200000,100000000000]]', 9, 1795390941294, 1795390941294, NULL);
INSERT INTO public.credit_accounts VALUES ('gone', 0, 0, '[]', 12, 1795390941294, 1795390941387, 1795390941387);

INSERT INTO public.credit_entries VALUES (2, 'credit_nis6jlzmj3vlpyyrxfni', 'acme', 'prepaid', 100000000000, 20849, '', NULL, 1795390941294, 'key_admin', NULL);
INSERT INTO public.credit_entries VALUES (3, 'credit_z4aln74thw6b6wa2bidq', 'acme', 'prepaid', 100000000000, 47512, '', NULL, 1795390941294, 'key_admin', NULL);
INSERT INTO public.credit_entries VALUES (4, 'credit_za64byvr3twkmyqwiqww', 'acme', 'expired', -1, NULL, '', 2, 1795390941294, 'system:credits', NULL);
INSERT INTO public.credit_entries VALUES (1, 'credit_goxrd23moep5e64yoxj3', 'gone', 'prepaid', 100000000000, NULL, 'ü', NULL, 1795390941294, 'key_admin', 1795390941387);

INSERT INTO public.data_keys VALUES ('dk_1', '\x00000000000000000000000000000000000000000000000000000000000000000000000000000000', 'file:data-key', 1795390941294, 1795390941294);

INSERT INTO public.directory_version VALUES (1, 12, 0);

INSERT INTO public.events VALUES ('msg_1', 'acme', 1795390941294, '{"type":"invoice.issued"}');

INSERT INTO public.headgate_schema VALUES ('0001');

INSERT INTO public.hosts VALUES ('host_1', 'gateway-1', 1795390941349, 1795390941349, 1796173200000, 'at clickhouse:8123/headgate', NULL, '[]', '[]', '{}');

INSERT INTO public.idempotency_keys VALUES ('\x34301acb2d391123f50568586e9dae7610fd718cc23b757798bd0d03a294efb4', 'acme', '\x0000000000000000000000000000000000000000000000000000000000000000', 201, '\x7b7d', 1795477341294);

INSERT INTO public.invoices VALUES (2, 'INV-000002', 'credit_note', 'gone', '2026-11', 1, 1, 1795390941294, -1250, '{}', '\x44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', '<p></p>', '\xfe04a9dc88d3f3be8d4f6bc63a9a80f45a4c6d8460e7551dab849457c091920a', 1795390941387);
INSERT INTO public.invoices VALUES (1, 'INV-000001', 'invoice', 'gone', '2026-11', 1, NULL, 1795390941294, 1250, '{"number":"INV-000001"}', '\xf73b835b2463897f8cef3843bfbceb6d05c2137ae02354ce7a525b8deb3de975', '<p>ü</p>', '\x3f08d999915773475441df32aaf6d7f773b76fe587502b36fb6fcf45aee9e5cc', 1795390941387);

INSERT INTO public.key_uses VALUES ('acme', 'key_qtt7crglnugk2nrzjvvz', 1796083200000);

INSERT INTO public.limits VALUES ('acme', 'tenant', 'acme', '{"rpm":9}', 9, 1795390941294, 1795390941294, NULL);

INSERT INTO public.lost_invoices VALUES ('OLD-', 7, 1795390941294);

INSERT INTO public.memberships VALUES ('acme', 'user_nnf76yra6umooi7lo5nc', 'owner', 3, 1795390941266, 1795390941266, NULL);
INSERT INTO public.memberships VALUES ('gone', 'user_pbz6umshxtmnaxi2gyp6', 'developer', 11, 1795390941274, 1795390941374, 1795390941374);

INSERT INTO public.model_grants VALUES ('acme', 'chat', 'key_admin', 9, 1795390941294, 1795390941294, NULL);

INSERT INTO public.plans VALUES ('gold', 'Gold', '{"rpm":60,"tpm":{"limit":5,"soft":4}}', NULL, '{"models":{"chat":{"markup":"2.5%"}}}', 9, 1795390941294, 1795390941294, NULL);

INSERT INTO public.provider_credentials VALUES ('openai', 'api_key', '\x010203', '\x000102030405060708090a0b', 'dk_1', 'key_admin', 9, 1795390941294, 1795390941294, NULL);

INSERT INTO public.tenant_deletions VALUES ('del_gsck4hux4sx23izephvi', NULL, '\x770b881a642e115d2a1ee98e7aecb6529af5d42ddea430f8a7f242d00f337dfe', 'key_admin', 1795390941356, '[]', 1795390941412);
INSERT INTO public.tenant_deletions VALUES ('del_fxbplbdmodtcaaejrosp', 'another', '\x40954049ba65ff46136b4671a987cc598a7ed21f58a3d9bfcd1ff815565c277f', 'key_admin', 1795390941412, '[]', NULL);

INSERT INTO public.tenants VALUES ('acme', 'Acme', 'gold', '["eu"]', false, false, false, 30, '{"discount":"10%"}', '{"größe":"ü"}', 'key_admin', NULL, 1, 1795390941253, 1795390941253, NULL);
INSERT INTO public.tenants VALUES ('gone', '', NULL, NULL, false, false, true, NULL, NULL, '{}', '', 1795390941356, 12, 1795390941263, 1795390941387, 1795390941387);

INSERT INTO public.usage_gateways VALUES ('gateway-1', 'host_1', NULL, 9, 1152921504606846976, 1796173200000);

INSERT INTO public.users VALUES ('user_nnf76yra6umooi7lo5nc', 'https://id.example', 'alice', 'alice@example.org', NULL, NULL, false, 3, 1795390941266, 1795390941266, NULL);
INSERT INTO public.users VALUES ('user_pbz6umshxtmnaxi2gyp6', '', '', NULL, NULL, NULL, true, 11, 1795390941274, 1795390941374, 1795390941374);

INSERT INTO public.virtual_keys VALUES ('key_qtt7crglnugk2nrzjvvz', 'acme', 'ci', 'hg-Ab3xy', '\x50208d47450f77f5a1c9f84d104d9d1eb1f4a8b0e3dee174bb3ab8f8beb98a2f', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', 1801353600000, NULL, NULL, false, 5, 1795390941279, 1795390941279, NULL);
INSERT INTO public.virtual_keys VALUES ('key_64uongodorma6hsltgdc', NULL, 'admin', 'hg-Ab3xy', '\x8664ef5d758f49159280f1099737784439523d7c97e326160fbde66f7a3d1268', 'p1', 'admin', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 7, 1795390941288, 1795390941288, NULL);
INSERT INTO public.virtual_keys VALUES ('key_z5zwgwswwqsaba4atrnb', 'acme', 'old', 'hg-Ab3xy', '\xbedefbd98eb9a3fef0196cb67f03f7b57364f91422ed0809fd9ee9f8e0fa5b4c', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 9, 1795390941284, 1795390941294, 1795390941294);
INSERT INTO public.virtual_keys VALUES ('key_vqm6bb3ree5i2q7hrga3', 'gone', '', '', '\x3d3b9652c0d1a926549333f6d324a6b7463e2ed31f8bb43db584fac6b66c80bd', 'p1', 'developer', NULL, NULL, NULL, '{}', '', NULL, NULL, NULL, false, 12, 1795390941291, 1795390941387, 1795390941387);

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
