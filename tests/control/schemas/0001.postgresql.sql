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

INSERT INTO public.audit VALUES (1, 1795319040320, 1, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x1c662aac7c67467b40c55869a1800480e6a6fb0c11c412d525ceb918cf3c784b', '\xd186b020e2f10c62d8a950326ca44ee87d51b360002f26b1885695f93cf405e2', 'acme', 'acme', NULL, '{"created_at":"2026-11-22T03:44:00.320Z","created_by":"key_admin","deleted_at":null,"deleting_at":null,"disabled":false,"display_name":"Acme","id":"acme","metadata":{"größe":"ü"},"pin_targets":false,"plan":"gold","store_prompts":false,"updated_at":"2026-11-22T03:44:00.320Z","usage_retention_days":30,"version":1,"zones":["eu"]}', '\xeb0c2f2dc3bfdf003f327013e23799c104a701094647c0f2cdfe179a71adad97', '\xc3ed3c1c214e971e6e857ae1bd628d47271054d03a29f75466eefc013b451535', '\x0000000000000000000000000000000000000000000000000000000000000000', '\x38abdfdae0c77ff3390bf0fcfa05e79a5bf7bdab520b15ea23380dab599658a1');
INSERT INTO public.audit VALUES (3, 1795319040370, 3, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x93a531bba24abb700c971410174a08431afcc24f94fe005e3a9249808871856c', '\xf6a099daf100e60928e6c0cb2a6ab45939380347a590afd5dc4ca8b82ce2773e', 'acme', 'user_dyjkywoern5gsxp2wocc', NULL, '{"role":"owner"}', '\x638f42ad89bbe9b804c6bf84713dfd005cf176c2074dd4d021b7621020e00e22', '\x4eb739bd4e38e053b9091449c5a6f3d8c64b58ff648ed5925dd5d9533e0997e5', '\xd91cb0a645a390b62540e1b5d3c9fbb02edf5904d0e35629ea859ce030d6f1ac', '\x685a1995908ac98c006419d2dacf866244c2782439712d6c6339a9b636203558');
INSERT INTO public.audit VALUES (5, 1795319040430, 5, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xce0efbe860dd07f2bb0ddb7ccb4457aab11b132370ce9bf962c94e1249948bc7', '\x60cdc00e677511a6b78f96404a62db2fb43c8b4ee572c86249623672783a614e', 'acme', 'key_r3ld5c5vgdsfmxzplh5w', NULL, '{"created_at":"2026-11-22T03:44:00.430Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":"2027-01-31T00:00:00.000Z","id":"key_r3ld5c5vgdsfmxzplh5w","limits":null,"metadata":{},"models":null,"name":"ci","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T03:44:00.430Z","valid_until":null,"version":5}', '\xb54e426c285be49a14b7cc55e197f5748ea5f66081ca515971ff77ac7b6bedc1', '\x76929401f9c397b626230aab1c41673384506fc48e095d9f41434d6c9f411117', '\xeb88ccc4e665925ab5f35e38914964d721407f1b0eb5d7d194645dc3f462dcd2', '\x3bec7e825d64d6508d5b82855fc594cf243323c30b8228b9dd90f2f46262121d');
INSERT INTO public.audit VALUES (6, 1795319040449, 6, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x225a1dc11b0d465de427d9d79ffabbb5047da4ff1b58e7922594d02a97c187a1', '\xaa21c2ab833a1dc467e3ff890bb9b26e962c160c4d49f950fc497825f182af58', 'acme', 'key_7s5ryin4k4viwlot2ie3', NULL, '{"created_at":"2026-11-22T03:44:00.449Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_7s5ryin4k4viwlot2ie3","limits":null,"metadata":{},"models":null,"name":"old","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T03:44:00.449Z","valid_until":null,"version":6}', '\xa9204539457ab7d0c8074567c7be6834b1bb20aed91fc0946456a29a55c2e333', '\xca0beeeea61251ff0eb9ad788c2332f0053311ba2db6133d736b8caf7c7759e2', '\x3bec7e825d64d6508d5b82855fc594cf243323c30b8228b9dd90f2f46262121d', '\x50439f15c09841b8c3897acc5203703ba39c102f595714c10f31f74ce7caba73');
INSERT INTO public.audit VALUES (7, 1795319040466, 7, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x40c3b7d7b9859ecffa3c90ae43321bfc6bbb00703a3244fe0ec4d568455efadc', '\x8b0ce903c5b8f10c0ee23b7d6888dd98eb705d1155d7c37ca54756b592646d2e', NULL, 'key_bqkpiw5n47clzms6fqlx', NULL, '{"created_at":"2026-11-22T03:44:00.466Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_bqkpiw5n47clzms6fqlx","limits":null,"metadata":{},"models":null,"name":"admin","pepper_id":"p1","prefix":"hg-Ab3xy","role":"admin","rotated_from":null,"tenant_id":null,"updated_at":"2026-11-22T03:44:00.466Z","valid_until":null,"version":7}', '\x5a1eee832e6923cf883c84e9a787c6282ba5d72306a2e879d024f7e4cd5886f5', '\x2db839e63db5386723e0a445fae53125c953c41207aa7f13574bf5f8252b39a7', '\x50439f15c09841b8c3897acc5203703ba39c102f595714c10f31f74ce7caba73', '\x7cb4efdbf251a02db91ff798b5079ab9dfb3b759a3901d03d16168165c6ecb78');
INSERT INTO public.audit VALUES (11, 1795319040489, 9, 'test.fill', 'directory', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x3cd2bfa1f5e41a543e501e8fddee6c4cb476801016198148cb4c37247bbd22c5', '\x1db81d0d6e59842b873624ed4ea04fa8ac13bdd15ee1053137a931d3296b949d', 'acme', NULL, '{"a":null}', '{"ciphertext":"***","created_by":"key_admin","data_key_id":"dk_1","nonce":"***"}', '\x958e0fbe2e8e719b328758409061187e7a719af6b9e8812c270db4404aa1a215', '\xb2310765bb7e2560c40f2bee2134057854e255083417fbd2e0c591e4fdf75604', '\xcf3ab332bdbd8475331851836e589b02d54f79192eb3e9663de16c83643475ce', '\xc5d1feaee950459153d2d8838f57055805c5c9b5b8e3004e5bf57c5a5b187c8b');
INSERT INTO public.audit VALUES (12, 1795319040598, 10, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x556dfbcc773664fb1d2028c7f6d07c3b6deb4cd2c82a8ff6dc2bf9b9250c7cd3', '\x2ce36fcbc70afe68ad0699fe29c284170e60cd011d4fae0dd40aa060bde777a6', NULL, 'del_6s224quan24qkipmf6bd', NULL, '{"fingerprint":"e81d26e7b58a371ca6536ca6a85f85daddb10c2727534bd759003449a72cdbe2"}', '\x47fcacfd5c51e6dac986e7f78acbbfae62f84f60023073de7a9c8473d6ded82d', '\x2bbd742990d62907b33cd999fb0a49c4f8fef4d4b2857d15150f863f9d8d182d', '\xc5d1feaee950459153d2d8838f57055805c5c9b5b8e3004e5bf57c5a5b187c8b', '\x80e815632d864150a90d8505cd99915c0926da95c9a9ce1c329699f85110c02f');
INSERT INTO public.audit VALUES (4, 1795319040417, 4, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x49d833a68b34044264953c1ea03da88c7afeaba28f95d096cabb2e765de52032', '\x6b72e66a86a4ec2d1c8d7c160bc4d1b7cd125aae750bbc104b382807b6e4b3cd', NULL, NULL, NULL, NULL, NULL, '\x510ff91dd3489b89991f721d8bb32e4a8e8fa6377ace27445ae3e5047aedb9b0', '\x685a1995908ac98c006419d2dacf866244c2782439712d6c6339a9b636203558', '\xeb88ccc4e665925ab5f35e38914964d721407f1b0eb5d7d194645dc3f462dcd2');
INSERT INTO public.audit VALUES (13, 1795319040650, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x2ca29eae65b6d10f770c11ca1a5377364387ddad6656d00b221bebbab5de664b', '\x6df2131b504c4c2182694d7831712ebfc90008e9e9a13b664dc7123b1b67d902', NULL, NULL, NULL, '{"subject":[[4,4]]}', '\x089dbc8bfd4f3b98791dd2030d48e74c3ac424a636b2af02082999c75fbf4589', '\xa59a197ba1812c5a3afc11d567d8c1ca993a9864813271f6f79d1f47ae3d64ea', '\x80e815632d864150a90d8505cd99915c0926da95c9a9ce1c329699f85110c02f', '\xff7883604fd36678ef72394a1f7067c2bdddc29491771f336413da89bda671ec');
INSERT INTO public.audit VALUES (14, 1795319040690, 11, 'user.erase', 'user', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x6820ad37c34619edc778a15e400fe77fd0b702a32b4fe32d618f4c2f3ba19893', '\x8183c0b266547f99f5cc448fdf7489234584613595fc6b23c9c59b97384fd3ed', NULL, NULL, NULL, NULL, '\x3b4a19f862d8a47a5a37e273477a7514a7cea65d6f870b1b31d2c49a1aff1eda', '\xa135d9f126874a30800c5658780d6194dfa5de8f5991e7ed0a59ac493f057967', '\xff7883604fd36678ef72394a1f7067c2bdddc29491771f336413da89bda671ec', '\xc10e8d1c4c4f8052192b7fc5edce6d2db0d9e484b07f9e7a5809385b32f47171');
INSERT INTO public.audit VALUES (2, 1795319040358, 2, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x4792b3bb49d3fffa9e65e60cd2b5b1433b88238509659b0ab20e9debd84c3df5', '\xa5c5203f990a2966b64a7ed77deb0f4cf010c0183e098edd80f7da5026907b93', NULL, NULL, NULL, NULL, NULL, '\x9545075828a4c3a17ad809780d7764ae457e6f5e567b91b2fdfe29b8b92b7903', '\x38abdfdae0c77ff3390bf0fcfa05e79a5bf7bdab520b15ea23380dab599658a1', '\xd91cb0a645a390b62540e1b5d3c9fbb02edf5904d0e35629ea859ce030d6f1ac');
INSERT INTO public.audit VALUES (9, 1795319040489, 9, 'invoice.issue', 'invoice', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xabff221cd01544c74ce5b16ddab9170d78551bcabc55130ecfc0de0011a4aebd', '\xf9fe275671882341af94e37dc8dbb573c906ba1fe773c70548e0f706190a26fb', NULL, NULL, NULL, NULL, NULL, '\xe6ced72c259fac8603fd137db28d7df97c0a6b762c704ff1949ac68a83ad4c03', '\xc2d6be5d92af3861dbacd502a57d8b0d9edec4bc97f49314fc75f8a0af3c5731', '\x75040cb8c465e489ed6d82cba92f64d7601224609e0d5aaa83f22b7bea1cb7be');
INSERT INTO public.audit VALUES (8, 1795319040474, 8, 'key.create', 'key', 'user', NULL, NULL, NULL, NULL, NULL, '\xae4a7187e267d046c27bfabcc2317c651f1bc1348b4cc4dfb98ada21f78d7edc', NULL, NULL, NULL, NULL, NULL, '\xa3df71d9d15af717cf351c8803960fe825c569779487df5cad179fc68f5e905e', '\x7cb4efdbf251a02db91ff798b5079ab9dfb3b759a3901d03d16168165c6ecb78', '\xc2d6be5d92af3861dbacd502a57d8b0d9edec4bc97f49314fc75f8a0af3c5731');
INSERT INTO public.audit VALUES (10, 1795319040489, 9, 'credit_note.issue', 'credit_note', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xd741d90f5627a88a9a3c7a6c94512cd800e0194476a7e5f0c707cc58cdd8c5cc', '\x69f0e4f9e18689cc6fb367f60496858d0bc5a39a59063fe3958b1742326c0bab', NULL, NULL, NULL, NULL, NULL, '\xa52a5ce374cda811a079ef800fc34b2c8872fd0cd46c57c80e7a482eaa969e60', '\x75040cb8c465e489ed6d82cba92f64d7601224609e0d5aaa83f22b7bea1cb7be', '\xcf3ab332bdbd8475331851836e589b02d54f79192eb3e9663de16c83643475ce');
INSERT INTO public.audit VALUES (15, 1795319040718, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xaa6cd414d3f0c09821369d255d095414915e72b60a266ac7155683507c88fe21', '\x49e3ed8916de815d1f4f0bee60f8aa3e679f340938a901e479a1f38eb09b129d', NULL, NULL, NULL, '{"actor":[[8,8]],"subject":[[2,2],[8,10]]}', '\x6532e12b2f4f93151635690bd9eabd23a32817f057bb71b2537c87e792ea7280', '\x86e1a355faef10e1cfdd27fd4fc3daa4071f9f0b9e81bf0b16c2a4af137831c7', '\xc10e8d1c4c4f8052192b7fc5edce6d2db0d9e484b07f9e7a5809385b32f47171', '\x8d46599c2d712c45aedd028c970e78520de2d79e74be7bec8a7f24702843e18d');
INSERT INTO public.audit VALUES (16, 1795319040765, 12, 'tenant.erase', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xfd76ecfefff5c378bac247277a1c92e5218cad03231ea0ac40b32482f6fb7d76', '\xf5d36b9800c54d61b068d0a58d67829ac854656d62fe80c5fda52edf041d87de', NULL, NULL, NULL, '{"rows":2}', '\xdfd2cbd4e6fd2f29076d8fedcab1a6f28ea9dfa221f2612eb4b342b839ca5ead', '\x08c4a71cf2205056e77d17beb6e36c2c2ffc0923945f50429a9c1c6b11db2220', '\x8d46599c2d712c45aedd028c970e78520de2d79e74be7bec8a7f24702843e18d', '\xaec25896d28b0130978d972a574e50da806447acc2bbbd3ddceaec7f48a94b1c');
INSERT INTO public.audit VALUES (17, 1795319040850, NULL, 'tenant.deleted', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x1a24068c4f776e900b7643fdd577552bde9f80a0e1e3427865ab02e9650fa25c', '\xf52fc871dc2bdc80cca84ccca665b2f45ccb29ea4ef288f96de6833d87712770', NULL, 'del_6s224quan24qkipmf6bd', NULL, '{"stores":[]}', '\xe8d7f2e285d8d4d968f09e92a1f80e80008b37942ef5a2cc04566eb781c9ae8f', '\xbf8954d74059f98ffd5bcbc787e4738395cc613e6aabaf049ad882225fd654b8', '\xaec25896d28b0130978d972a574e50da806447acc2bbbd3ddceaec7f48a94b1c', '\x18c9971991e2de98a56ed6e622b3889fbf32b3457356ce27c33d95edb9071231');
INSERT INTO public.audit VALUES (18, 1795319040850, NULL, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x4ebb6ef1db46b65ac69b86b74667aa7a195b0b1266c8328ccb89cd8dba8c3f71', '\xc295cd7c763eef3b63016b240bb1593a158581af0388fc9b68f0d0329c621f62', NULL, 'del_2dfr5sdpgnxoyxbjb46f', NULL, '{"fingerprint":"2f859483c5857a11813bae53c493946590cfe385140d2907a7d6b371f0adb2d4"}', '\x4f81eceb9e8dce0ec5d97b41e98501de58c245e8d33a0a10a08ce304839bebd5', '\x48dca146a6e4305c73761ab67a1f11aed89dafb2cbcba3a1abcb90e1fcde1999', '\x18c9971991e2de98a56ed6e622b3889fbf32b3457356ce27c33d95edb9071231', '\x08813e61ae7628078df1f454da9f456da0ecc858782f14a25ff8b3401a3763f9');

INSERT INTO public.data_keys VALUES ('dk_1', '\x00000000000000000000000000000000000000000000000000000000000000000000000000000000', 'file:data-key', 1795319040489, 1795319040489);

INSERT INTO public.directory_version VALUES (1, 12, 0);

INSERT INTO public.events VALUES ('msg_1', 'acme', 1795319040489, '{"type":"invoice.issued"}');

INSERT INTO public.headgate_schema VALUES ('0001');

INSERT INTO public.hosts VALUES ('host_1', 'gateway-1', 1795319040574, 1795319040574, 1796173200000, 'at clickhouse:8123/headgate');

INSERT INTO public.idempotency_keys VALUES ('\x34301acb2d391123f50568586e9dae7610fd718cc23b757798bd0d03a294efb4', 'acme', '\x0000000000000000000000000000000000000000000000000000000000000000', 201, '\x7b7d', 1795405440489);

INSERT INTO public.invoices VALUES (2, 'INV-000002', 'credit_note', 'gone', '2026-11', 1, 1, 1795319040489, -1250, '{}', '\x44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', '<p></p>', '\xfe04a9dc88d3f3be8d4f6bc63a9a80f45a4c6d8460e7551dab849457c091920a', 1795319040765);
INSERT INTO public.invoices VALUES (1, 'INV-000001', 'invoice', 'gone', '2026-11', 1, NULL, 1795319040489, 1250, '{"number":"INV-000001"}', '\xf73b835b2463897f8cef3843bfbceb6d05c2137ae02354ce7a525b8deb3de975', '<p>ü</p>', '\x3f08d999915773475441df32aaf6d7f773b76fe587502b36fb6fcf45aee9e5cc', 1795319040765);

INSERT INTO public.key_uses VALUES ('acme', 'key_r3ld5c5vgdsfmxzplh5w', 1796083200000);

INSERT INTO public.limits VALUES ('acme', 'tenant', 'acme', '{"rpm":9}', 9, 1795319040489, 1795319040489, NULL);

INSERT INTO public.memberships VALUES ('acme', 'user_dyjkywoern5gsxp2wocc', 'owner', 3, 1795319040370, 1795319040370, NULL);
INSERT INTO public.memberships VALUES ('gone', 'user_trrfh5tyhwwc5x52qm2d', 'developer', 11, 1795319040417, 1795319040690, 1795319040690);

INSERT INTO public.model_grants VALUES ('acme', 'chat', 'key_admin', 9, 1795319040489, 1795319040489, NULL);

INSERT INTO public.plans VALUES ('gold', 'Gold', '{"rpm":60,"tpm":{"limit":5,"soft":4}}', NULL, 9, 1795319040489, 1795319040489, NULL);

INSERT INTO public.provider_credentials VALUES ('openai', 'api_key', '\x010203', '\x000102030405060708090a0b', 'dk_1', 'key_admin', 9, 1795319040489, 1795319040489, NULL);

INSERT INTO public.tenant_deletions VALUES ('del_6s224quan24qkipmf6bd', NULL, '\xe81d26e7b58a371ca6536ca6a85f85daddb10c2727534bd759003449a72cdbe2', 'key_admin', 1795319040598, '[]', 1795319040850);
INSERT INTO public.tenant_deletions VALUES ('del_2dfr5sdpgnxoyxbjb46f', 'another', '\x2f859483c5857a11813bae53c493946590cfe385140d2907a7d6b371f0adb2d4', 'key_admin', 1795319040850, '[]', NULL);

INSERT INTO public.tenants VALUES ('acme', 'Acme', 'gold', '["eu"]', false, false, false, 30, '{"größe":"ü"}', 'key_admin', NULL, 1, 1795319040320, 1795319040320, NULL);
INSERT INTO public.tenants VALUES ('gone', '', NULL, NULL, false, false, true, NULL, '{}', '', 1795319040598, 12, 1795319040358, 1795319040765, 1795319040765);

INSERT INTO public.users VALUES ('user_dyjkywoern5gsxp2wocc', 'https://id.example', 'alice', 'alice@example.org', NULL, NULL, false, 3, 1795319040370, 1795319040370, NULL);
INSERT INTO public.users VALUES ('user_trrfh5tyhwwc5x52qm2d', '', '', NULL, NULL, NULL, true, 11, 1795319040417, 1795319040690, 1795319040690);

INSERT INTO public.virtual_keys VALUES ('key_r3ld5c5vgdsfmxzplh5w', 'acme', 'ci', 'hg-Ab3xy', '\x6a742ec7338a206de754d23260faa9ddf63e22bf1f4ff15bdacce4a692e190e2', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', 1801353600000, NULL, NULL, false, 5, 1795319040430, 1795319040430, NULL);
INSERT INTO public.virtual_keys VALUES ('key_bqkpiw5n47clzms6fqlx', NULL, 'admin', 'hg-Ab3xy', '\xa2cf6ea7a1e0889bdedee872242014de1dd47170d78ed114fb7ea56ff99ad590', 'p1', 'admin', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 7, 1795319040466, 1795319040466, NULL);
INSERT INTO public.virtual_keys VALUES ('key_7s5ryin4k4viwlot2ie3', 'acme', 'old', 'hg-Ab3xy', '\x03e72242f0a5340731a06b8c89c46d0bcebeed90b1e4720369bac235be72ab0e', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 9, 1795319040449, 1795319040489, 1795319040489);
INSERT INTO public.virtual_keys VALUES ('key_wikyoz6tvhdvw2y43teu', 'gone', '', '', '\x39190002aff6374061b6006c89e9b9d25e354951e82b6a708102cdf11ebf1fdd', 'p1', 'developer', NULL, NULL, NULL, '{}', '', NULL, NULL, NULL, false, 12, 1795319040474, 1795319040765, 1795319040765);

ALTER TABLE ONLY public.headgate_schema
    ADD CONSTRAINT headgate_schema_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT pk_audit PRIMARY KEY (seq);

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

CREATE UNIQUE INDEX uq_invoices_corrects ON public.invoices USING btree (corrects);

CREATE UNIQUE INDEX uq_invoices_customer_month_revision_kind ON public.invoices USING btree (customer, month, revision, kind);

CREATE UNIQUE INDEX uq_invoices_number ON public.invoices USING btree (number);

CREATE UNIQUE INDEX uq_tenant_deletions_tenant_id ON public.tenant_deletions USING btree (tenant_id) WHERE (finished_at IS NULL);

CREATE UNIQUE INDEX uq_users_issuer_subject ON public.users USING btree (issuer, subject) WHERE (deleted_at IS NULL);

CREATE TRIGGER audit_rows BEFORE INSERT OR DELETE OR UPDATE ON public.audit FOR EACH ROW EXECUTE FUNCTION public.headgate_audit_is_kept();

CREATE TRIGGER audit_truncate BEFORE TRUNCATE ON public.audit FOR EACH STATEMENT EXECUTE FUNCTION public.headgate_audit_is_kept();

CREATE TRIGGER invoices_rows BEFORE INSERT OR DELETE OR UPDATE ON public.invoices FOR EACH ROW EXECUTE FUNCTION public.headgate_invoice_is_kept();

CREATE TRIGGER invoices_truncate BEFORE TRUNCATE ON public.invoices FOR EACH STATEMENT EXECUTE FUNCTION public.headgate_invoice_is_kept();

ALTER TABLE ONLY public.memberships
    ADD CONSTRAINT fk_memberships_user_id FOREIGN KEY (user_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.provider_credentials
    ADD CONSTRAINT fk_provider_credentials_data_key_id FOREIGN KEY (data_key_id) REFERENCES public.data_keys(id);
