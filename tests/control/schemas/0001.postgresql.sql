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

INSERT INTO public.audit VALUES (1, 1795329213761, 1, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x91f46173d163e4ca95d98fca052af5e19137501524a6f60ddffba0052b6deba8', '\x3fb92ae9ce9212504fe0adda687d3222114b71cd3d60d6f82873f1799272a6b0', 'acme', 'acme', NULL, '{"created_at":"2026-11-22T06:33:33.761Z","created_by":"key_admin","deleted_at":null,"deleting_at":null,"disabled":false,"display_name":"Acme","id":"acme","metadata":{"größe":"ü"},"pin_targets":false,"plan":"gold","store_prompts":false,"updated_at":"2026-11-22T06:33:33.761Z","usage_retention_days":30,"version":1,"zones":["eu"]}', '\xadd45a35cf7523a3458c0e8e8cf4bceabac9d44928761eb8f676484dea69c08f', '\x0e308f1673cecc0d8d9c2a2e5935699509e4b5f52942db90b5ccae981394e2bc', '\x0000000000000000000000000000000000000000000000000000000000000000', '\xa95b92d9d18c51701a9002a8ee0f3b2cf5723d12d0096d3c515d0d53df8566b9');
INSERT INTO public.audit VALUES (3, 1795329213859, 3, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x6f516506225b95f79f7ff11a169eb7dc03b5c424a3cc316a5f56a54b4aae8046', '\x88c81500fdcab18efe9657db9444e94bb076f580d95cacc58b30d5a24d069786', 'acme', 'user_k6sfthlgji6otbhgxwtj', NULL, '{"role":"owner"}', '\x0f982cd6d0727462320b9e54e117e7ff91e3615c02fee2accc884996b92454ef', '\xaec7beee6ac630434803b1d62d621b6e18a5a74b8b01518b428f2e406e6c30ee', '\xc19ddcf827ccc1287b293a697884213f7e2f49df3411881de2f76b1144f6a78e', '\xd89f05a4b60ea258bfec73028088fa0f5462a1d429678ca699ea4cfc96305c2a');
INSERT INTO public.audit VALUES (5, 1795329213989, 5, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x84ed4ec5d52e45fd6f2211d46d9c55ecaa66b28df45e25de8981e91bb9157878', '\x6921b4c745d6640184313f8bd8a578c16f900a0acb57b4a3b62156b0ca379c16', 'acme', 'key_z6vn4awmlgiwyedzcthn', NULL, '{"created_at":"2026-11-22T06:33:33.989Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":"2027-01-31T00:00:00.000Z","id":"key_z6vn4awmlgiwyedzcthn","limits":null,"metadata":{},"models":null,"name":"ci","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T06:33:33.989Z","valid_until":null,"version":5}', '\xa7e4a146edbed4ba0767504c8927cda8a45757f6fea27287b9e7b9496d847fa9', '\x83ae58f3a4f09e45c1cc4b566f48a4caebd5fac02f74bef9a0f3d1f183a9d123', '\x41ad80fe4f35562babd3daac4a373ba791af05db92cac24d10a8f3cd50d717b3', '\xd4f1543b5d8c1797e48aa9f46cae5c19d981cfc7933d034505065626f94abcf5');
INSERT INTO public.audit VALUES (6, 1795329214044, 6, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xc7aadcb99f270b822b81db2f52cf60db6e8da811f48348a0f062836e535dc672', '\x8bc20061b67f4baa7299bd7b2af04ac5d7abdcc0c116629539eba6848f732827', 'acme', 'key_xhdbus5ct4czjkstueen', NULL, '{"created_at":"2026-11-22T06:33:34.044Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_xhdbus5ct4czjkstueen","limits":null,"metadata":{},"models":null,"name":"old","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T06:33:34.044Z","valid_until":null,"version":6}', '\x27e871bc72771b7080451ae2a6e4d8615cd621d1b8dd4a5ec51c0b910b4d00ca', '\x56b9052903c0cab2027d05b8504c7280f04be9ee88bfc855f1e87120b650aecf', '\xd4f1543b5d8c1797e48aa9f46cae5c19d981cfc7933d034505065626f94abcf5', '\xc136d3462a654447eabd9274a50b64474f88126ede1b3d6cc6f0b6c686ee4d1b');
INSERT INTO public.audit VALUES (7, 1795329214092, 7, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x508eac648f9dc09a1731aaf9c311eff6ff7306bc7421779ce7cdc8bbc4e79e1e', '\x2c35f86f0f9ee9eaf1a424834665a18a702317632445cf293422f9c86613389f', NULL, 'key_voexzcexcwm2bd7icl4x', NULL, '{"created_at":"2026-11-22T06:33:34.092Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_voexzcexcwm2bd7icl4x","limits":null,"metadata":{},"models":null,"name":"admin","pepper_id":"p1","prefix":"hg-Ab3xy","role":"admin","rotated_from":null,"tenant_id":null,"updated_at":"2026-11-22T06:33:34.092Z","valid_until":null,"version":7}', '\xb0e6587b5513eb12f688c9b8e9969ee39a6ff5822c32d9a36369362ad896f2ff', '\xbbd9f24a1a79fd5065b7862a4e6db3e607a332a934b86a7b1089f88bf92acff1', '\xc136d3462a654447eabd9274a50b64474f88126ede1b3d6cc6f0b6c686ee4d1b', '\x7dba065d39f0508666fc092c93aee1b36b227410b62650f564142bb3c27b2c52');
INSERT INTO public.audit VALUES (12, 1795329214147, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x9d44ed87810490d3cd2f1879687ef82e87312a2b692bc7b446384548559d43b2', '\x7eef4e1a6a5e0af0a7aeecec9f803f3e1d77b67065668256f1bb262cc3894a9a', 'acme', 'credit_3x6inmab35z7ijshkdw7', NULL, '{"amount_nano":100000000000,"ended":null,"expires_on":"2027-01-31","kind":"prepaid","note":""}', '\x98acfcbf16762ecdc9e581b602a50fc7e224c64fe9ba9006cdb0a51d292ebac3', '\x0ba2db4cb08588aa6aa73604f0c96b450b8983393ec0284f4477eb53566cf2c0', '\x47f7d08e7889e3446377cf1a7d80615d828c9531e488d8378f36738973bbe438', '\xdc208d1bc4c82ef65699becf11454f34c9a2ecfc1e640d3339628784168f1c5d');
INSERT INTO public.audit VALUES (13, 1795329214147, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x9201d3dc5dbc60142fc6597d30089a2742b4a43f56381089c637a33f55dd1eea', '\x373059b998b4ce4ab9690db408b80839946f3cc2b60a7b55d3a479a2718af505', 'acme', 'credit_66af3bxa3zft2itefqlu', NULL, '{"amount_nano":100000000000,"ended":null,"expires_on":"2100-01-31","kind":"prepaid","note":""}', '\x08d0897f5eb5c90d604fba72efaccb6f8c2293562c803ae245930ad532c25f88', '\x3a349003854454615a81407a8021afc5cdc44c7cf559003a7c956b7e82bb81d8', '\xdc208d1bc4c82ef65699becf11454f34c9a2ecfc1e640d3339628784168f1c5d', '\xbf25b88179470dc5d14fbe33d42fc41be43fed467bb37f77a417ff6f5ca757ed');
INSERT INTO public.audit VALUES (14, 1795329214147, 9, 'credits.expire', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x29a831f3554c4b23fd097e52713c22ada7de0d6b8751526a8c64d896e581d946', '\xdf87abafb05a520490c86eea6f9ececdf9de3af9ec1014156a3a8ff91763e139', 'acme', 'credit_3fdvhkcd7k2433pqmoa7', NULL, '{"amount_nano":-1,"ended":2,"expires_on":null,"kind":"expired","note":""}', '\x0c3bbd385116e4367bf3d2b9e3aa34a5f51937c75537111f756e5182d4e5e34d', '\x4cf257a76a6741933185ffd9791ffb842b80502f8eb28e013d6838a2da3e8f9c', '\xbf25b88179470dc5d14fbe33d42fc41be43fed467bb37f77a417ff6f5ca757ed', '\xb51104da8e9483d88b6cd3b58c8be6d28c875d1021e0e726ee97628a1af03b3f');
INSERT INTO public.audit VALUES (2, 1795329213831, 2, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x74f94190fb186ce67abc2c4a8ce865dc31fcf795ae417422b38f69e543660878', '\xaaa0c5fcdb2effb1300d8c00ed47ebb30dc0b336950fa5d224d3c14e191d3f4c', NULL, NULL, NULL, NULL, NULL, '\x24fbbf07826ec2a0849f3f6f89c2af1b8dc82d66f522e8ecb46a2f621a411d7c', '\xa95b92d9d18c51701a9002a8ee0f3b2cf5723d12d0096d3c515d0d53df8566b9', '\xc19ddcf827ccc1287b293a697884213f7e2f49df3411881de2f76b1144f6a78e');
INSERT INTO public.audit VALUES (9, 1795329214147, 9, 'invoice.issue', 'invoice', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xc97307702638600d9370e5fb9f19bc176ad699f8c4ba6a49bda1a8aa290248de', '\xa64a94b94758dfc8e94157fbd0e84c79ec0f2518e6c0d8d0a4b066f9ec370d91', NULL, NULL, NULL, NULL, NULL, '\xd8914ce8264579971d907ba55e5155fcdf7a3ae8b7bdfd3d6c7a32d11779fd21', '\x94213ffd04abedab00c16428c1c92d63f1dca33370b011a63b23154a53509694', '\x27c67476ec043e41b5b6f133d8a7414faedd9c7b4d668e6739cd6838f89544b1');
INSERT INTO public.audit VALUES (15, 1795329214147, 9, 'test.fill', 'directory', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xd6e2cc672d8ac24397602694f57a08d93d520843e973a19591e167dca3baa86a', '\x5099c21b2ed06802ffb15e964a45335f44fdc3f4ff8fef6a6276e8bc7a0f6e9f', 'acme', NULL, '{"a":null}', '{"ciphertext":"***","created_by":"key_admin","data_key_id":"dk_1","nonce":"***"}', '\x3f427a5e9d8fb60234007d6e98ebdc993ac06ef3dc58bac91a1e724421a3cdfe', '\xb6a7e170b53d7bc61e0fb7cad54a9700276c8c16b42a85473d956a169e23a4f1', '\xb51104da8e9483d88b6cd3b58c8be6d28c875d1021e0e726ee97628a1af03b3f', '\xe35570cbed8021b4812c174452073e1f27bce20589b3fbbb4a2374063ee46733');
INSERT INTO public.audit VALUES (16, 1795329214616, 10, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x0d23d345cf81d3ad733d479568e82123b7a552e5ad896571e5c122eae38bd156', '\x7f481d6773011fe1962a55c50413ac4f141ee018ec1242a9b9e01ce43e172aef', NULL, 'del_loc42mm6felun7klexvb', NULL, '{"fingerprint":"7150238e938e46751aa47b030531b77af44ca8cad06810eb628487ed1b566cce"}', '\x31fc49e0ccad829cb38916faf838e2f30772ed9da26c8517fe09dd265d986784', '\xe9e9635ad1dcaff16fbcee247f4b2202fc3b0357187ba6f9869b0a0818d7233f', '\xe35570cbed8021b4812c174452073e1f27bce20589b3fbbb4a2374063ee46733', '\xd07a2927361cbb69072468155f6b192bad78d969e8df6d51e3836064cd548962');
INSERT INTO public.audit VALUES (4, 1795329213938, 4, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x6dfb8ce7994de661a1670ddd92046bad62a357d3f3d354ca74312cd68afe6707', '\xe1eab0a181b5a9e38334d48da79304a35fedc5eb7caaec65567e7afb2cce38e3', NULL, NULL, NULL, NULL, NULL, '\x6bcab9a67a5e6aa7b9385cf2805afe197f5f809af49c1ba32397e9edd95b37ca', '\xd89f05a4b60ea258bfec73028088fa0f5462a1d429678ca699ea4cfc96305c2a', '\x41ad80fe4f35562babd3daac4a373ba791af05db92cac24d10a8f3cd50d717b3');
INSERT INTO public.audit VALUES (17, 1795329214795, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xd0225eb1f5475a70f520483df377079618152c185be44640f5b2c6a603120f12', '\x34c4e2227de8f4716cad7f0701452d465d1198d80e5687a0cb947d0fdcd3cc32', NULL, NULL, NULL, '{"subject":[[4,4]]}', '\x8adca31661bf2a13c99ba1dd31ae2772d9f49ad25640b40327ab1fb26dfabe1c', '\x1d84b389b9b8202eaa7467782555e80f5cffae8210a5095138b049df7650ec5d', '\xd07a2927361cbb69072468155f6b192bad78d969e8df6d51e3836064cd548962', '\x703a430e8d1e709d4ac4552588cda3efd3d427464d261b20ad3d1dbf4642566c');
INSERT INTO public.audit VALUES (18, 1795329214878, 11, 'user.erase', 'user', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x0272573931176271b5f9e1708dc5b7045326dcd856d2467797677a3b94a80785', '\xe2a499bbc37b9d45ae4886406214e5c3a0e2f5a0e508eb6d4577bf93e92695a9', NULL, NULL, NULL, NULL, '\x3c13d0aa827fd7e5146e0b1eb1df96c096e4f0a7377f37664af4082d33301445', '\xd6822eff5e86329998b9552f6af8732b3e703cc20421c7acca66643fd7763792', '\x703a430e8d1e709d4ac4552588cda3efd3d427464d261b20ad3d1dbf4642566c', '\xeca38ac7912ff31f9c8f52e3ef0e5261ffd5d39b052fccbb68cf06063f6b6cd5');
INSERT INTO public.audit VALUES (8, 1795329214110, 8, 'key.create', 'key', 'user', NULL, NULL, NULL, NULL, NULL, '\x4b7936c53a239275d92bcc4ed2692ecbd92e1e3a65bad62f38f272d2ca212b16', NULL, NULL, NULL, NULL, NULL, '\xc5cac04a2912701d63c02e0df66f0e0f8f1ad627ba60d70987eedb91ecc78a2d', '\x7dba065d39f0508666fc092c93aee1b36b227410b62650f564142bb3c27b2c52', '\x94213ffd04abedab00c16428c1c92d63f1dca33370b011a63b23154a53509694');
INSERT INTO public.audit VALUES (10, 1795329214147, 9, 'credit_note.issue', 'credit_note', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xbea4b9a5efe5a18821073d2c1daeedadbf77a1b414cb4b93622def7299a9be97', '\x02a8040a241befd53b6547a7e6291dc39fbe26e831c12340e5816a527dcde6d6', NULL, NULL, NULL, NULL, NULL, '\xf11ac56603be8748f187ebda0c5b6ad562c5181623eff74453e82b8a65c817cf', '\x27c67476ec043e41b5b6f133d8a7414faedd9c7b4d668e6739cd6838f89544b1', '\x6fc3e53af1d9b091e9068df4ec6ab7003d1cc492f44105d727585b1417cfd8b8');
INSERT INTO public.audit VALUES (11, 1795329214147, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x619472157eae230c8def470820925d9949acab0cd1d02e04ea40ac02cb918c63', '\x31a18664315e1f7832db693023c28f5fb37b6ac0974d75d46b98a67490fc147f', NULL, NULL, NULL, NULL, NULL, '\xfead47da90ea27051465faad13b355cc40a7552d5d0485de661403358103a204', '\x6fc3e53af1d9b091e9068df4ec6ab7003d1cc492f44105d727585b1417cfd8b8', '\x47f7d08e7889e3446377cf1a7d80615d828c9531e488d8378f36738973bbe438');
INSERT INTO public.audit VALUES (19, 1795329214935, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x33ddfd83dce3cee128c1784a4194e2ff57296fdf1c18eb9339a9684eea4f85d1', '\x95940598c06f33ce9658dc3affed103d4f403e0772b115d2289ca66fdb4e46a4', NULL, NULL, NULL, '{"actor":[[8,8]],"subject":[[2,2],[8,11]]}', '\x1b27bd0fa489d8556d324f887209b695e564b8965293b9de148a155d6bc360b1', '\xa1e89bf031692c799d0354cf8ac9ffe37eb3ebdca1fdb354b4fee592137a10b4', '\xeca38ac7912ff31f9c8f52e3ef0e5261ffd5d39b052fccbb68cf06063f6b6cd5', '\x687665174183efef00c51d2c5b33db5d30dc6808ee827b19a7443d38e3119cdf');
INSERT INTO public.audit VALUES (20, 1795329215000, 12, 'tenant.erase', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xe97b5d0b8d1a8d1b152db37818cdad9ef56ab4923446148cf7d50a7267c2c3e4', '\x2d6e8360ed5bf37415f0f0f7d10476c7ba1dc7b813f9ee67e82360e8ca4cdf84', NULL, NULL, NULL, '{"rows":3}', '\xc616156e67eed055dcf3bce13eadbba96257c48e778ba16e24d5ee4099172d9e', '\x51f597a148747b0f6d795834197f12cc2df717d9f4e889dfd01ed65e07260d37', '\x687665174183efef00c51d2c5b33db5d30dc6808ee827b19a7443d38e3119cdf', '\xe26eb217a033fddd55f97ee6431744d20cac0581397dc932c6f656bf719eba06');
INSERT INTO public.audit VALUES (21, 1795329215197, NULL, 'tenant.deleted', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x666e71eac0787a6240b081eebd111297d3e2608581c89d97ce9bad2bc9d692bd', '\xbdab22cd7f14d87a5e8e96c77661a88bd2fe44054db3ab86fe8f586d21dee27d', NULL, 'del_loc42mm6felun7klexvb', NULL, '{"stores":[]}', '\x967900ea3a87f0d193efcb999785db0481ec658a16928046eb1f19cebc586731', '\x2e43a0ed1f1d8b0d0b28aad42d4583130894bd5dbe7ce6f63479e7c289853172', '\xe26eb217a033fddd55f97ee6431744d20cac0581397dc932c6f656bf719eba06', '\x4b9a4af2bc68d86a5c6b8c9f01e7700b6a368bdd859dbc5ef98adda8e787e68a');
INSERT INTO public.audit VALUES (22, 1795329215197, NULL, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xe7c28ba2e41e5b5c7d4fdd3bba5e728318de7be409f0b365efd1487f4ed1e6e1', '\x6d8fcf4484e8afd39504dbde862554395070e98fa37ec383d288d7e29149148c', NULL, 'del_byw7fu623xjezx6lydoo', NULL, '{"fingerprint":"6cbbf17f84d81e00e27b6c39e255f779575de82676accb40734415d1e6ad50b0"}', '\x7241d500be4b8baa5408ea393cccd7cf29f3a9e1ba7e1a63cf1fb89f2cd74b41', '\x3cbcda37b5bed149b24fc9b4653c6e48346141e479ebc0b4a2eb61e4b6c4836e', '\x4b9a4af2bc68d86a5c6b8c9f01e7700b6a368bdd859dbc5ef98adda8e787e68a', '\x9a1f6c7b2a1f0b75702fb7118fe3d9435ced410f7ca10dd1620ae9c161a718bd');

INSERT INTO public.credit_accounts VALUES ('acme', 20779, 199999999999, '[[4105123200000,100000000000]]', 9, 1795329214147, 1795329214147, NULL);
INSERT INTO public.credit_accounts VALUES ('gone', 0, 0, '[]', 12, 1795329214147, 1795329215000, 1795329215000);

INSERT INTO public.credit_entries VALUES (2, 'credit_3x6inmab35z7ijshkdw7', 'acme', 'prepaid', 100000000000, 20849, '', NULL, 1795329214147, 'key_admin', NULL);
INSERT INTO public.credit_entries VALUES (3, 'credit_66af3bxa3zft2itefqlu', 'acme', 'prepaid', 100000000000, 47512, '', NULL, 1795329214147, 'key_admin', NULL);
INSERT INTO public.credit_entries VALUES (4, 'credit_3fdvhkcd7k2433pqmoa7', 'acme', 'expired', -1, NULL, '', 2, 1795329214147, 'system:credits', NULL);
INSERT INTO public.credit_entries VALUES (1, 'credit_erttflkpwwqngqhdlhzw', 'gone', 'prepaid', 100000000000, NULL, 'ü', NULL, 1795329214147, 'key_admin', 1795329215000);

INSERT INTO public.data_keys VALUES ('dk_1', '\x00000000000000000000000000000000000000000000000000000000000000000000000000000000', 'file:data-key', 1795329214147, 1795329214147);

INSERT INTO public.directory_version VALUES (1, 12, 0);

INSERT INTO public.events VALUES ('msg_1', 'acme', 1795329214147, '{"type":"invoice.issued"}');

INSERT INTO public.headgate_schema VALUES ('0001');

INSERT INTO public.hosts VALUES ('host_1', 'gateway-1', 1795329214513, 1795329214513, 1796173200000, 'at clickhouse:8123/headgate');

INSERT INTO public.idempotency_keys VALUES ('\x34301acb2d391123f50568586e9dae7610fd718cc23b757798bd0d03a294efb4', 'acme', '\x0000000000000000000000000000000000000000000000000000000000000000', 201, '\x7b7d', 1795415614147);

INSERT INTO public.invoices VALUES (2, 'INV-000002', 'credit_note', 'gone', '2026-11', 1, 1, 1795329214147, -1250, '{}', '\x44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', '<p></p>', '\xfe04a9dc88d3f3be8d4f6bc63a9a80f45a4c6d8460e7551dab849457c091920a', 1795329215000);
INSERT INTO public.invoices VALUES (1, 'INV-000001', 'invoice', 'gone', '2026-11', 1, NULL, 1795329214147, 1250, '{"number":"INV-000001"}', '\xf73b835b2463897f8cef3843bfbceb6d05c2137ae02354ce7a525b8deb3de975', '<p>ü</p>', '\x3f08d999915773475441df32aaf6d7f773b76fe587502b36fb6fcf45aee9e5cc', 1795329215000);

INSERT INTO public.key_uses VALUES ('acme', 'key_z6vn4awmlgiwyedzcthn', 1796083200000);

INSERT INTO public.limits VALUES ('acme', 'tenant', 'acme', '{"rpm":9}', 9, 1795329214147, 1795329214147, NULL);

INSERT INTO public.memberships VALUES ('acme', 'user_k6sfthlgji6otbhgxwtj', 'owner', 3, 1795329213859, 1795329213859, NULL);
INSERT INTO public.memberships VALUES ('gone', 'user_w5d53abvvuejovtyd44g', 'developer', 11, 1795329213938, 1795329214878, 1795329214878);

INSERT INTO public.model_grants VALUES ('acme', 'chat', 'key_admin', 9, 1795329214147, 1795329214147, NULL);

INSERT INTO public.plans VALUES ('gold', 'Gold', '{"rpm":60,"tpm":{"limit":5,"soft":4}}', NULL, 9, 1795329214147, 1795329214147, NULL);

INSERT INTO public.provider_credentials VALUES ('openai', 'api_key', '\x010203', '\x000102030405060708090a0b', 'dk_1', 'key_admin', 9, 1795329214147, 1795329214147, NULL);

INSERT INTO public.tenant_deletions VALUES ('del_loc42mm6felun7klexvb', NULL, '\x7150238e938e46751aa47b030531b77af44ca8cad06810eb628487ed1b566cce', 'key_admin', 1795329214616, '[]', 1795329215197);
INSERT INTO public.tenant_deletions VALUES ('del_byw7fu623xjezx6lydoo', 'another', '\x6cbbf17f84d81e00e27b6c39e255f779575de82676accb40734415d1e6ad50b0', 'key_admin', 1795329215197, '[]', NULL);

INSERT INTO public.tenants VALUES ('acme', 'Acme', 'gold', '["eu"]', false, false, false, 30, '{"größe":"ü"}', 'key_admin', NULL, 1, 1795329213761, 1795329213761, NULL);
INSERT INTO public.tenants VALUES ('gone', '', NULL, NULL, false, false, true, NULL, '{}', '', 1795329214616, 12, 1795329213831, 1795329215000, 1795329215000);

INSERT INTO public.users VALUES ('user_k6sfthlgji6otbhgxwtj', 'https://id.example', 'alice', 'alice@example.org', NULL, NULL, false, 3, 1795329213859, 1795329213859, NULL);
INSERT INTO public.users VALUES ('user_w5d53abvvuejovtyd44g', '', '', NULL, NULL, NULL, true, 11, 1795329213938, 1795329214878, 1795329214878);

INSERT INTO public.virtual_keys VALUES ('key_z6vn4awmlgiwyedzcthn', 'acme', 'ci', 'hg-Ab3xy', '\xe051767c834be0582f5c5e4bb033886db06f72245366a21d58871c85cfc30586', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', 1801353600000, NULL, NULL, false, 5, 1795329213989, 1795329213989, NULL);
INSERT INTO public.virtual_keys VALUES ('key_voexzcexcwm2bd7icl4x', NULL, 'admin', 'hg-Ab3xy', '\x31c62fe2c27332bfefce7a9fd347a0d28ad7c43d4a4e81d079a0abe09b2efd79', 'p1', 'admin', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 7, 1795329214092, 1795329214092, NULL);
INSERT INTO public.virtual_keys VALUES ('key_xhdbus5ct4czjkstueen', 'acme', 'old', 'hg-Ab3xy', '\xd0095d14478ff3f21741aed3a9b379933a555eb626e5229cfaae024c12e2cfc8', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 9, 1795329214044, 1795329214147, 1795329214147);
INSERT INTO public.virtual_keys VALUES ('key_toagcxamjw5mewmaqaut', 'gone', '', '', '\x97b150d2d85f7f7f9f9078916d94d5492c97f9f182144ac6e650d46a77346590', 'p1', 'developer', NULL, NULL, NULL, '{}', '', NULL, NULL, NULL, false, 12, 1795329214110, 1795329215000, 1795329215000);

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
