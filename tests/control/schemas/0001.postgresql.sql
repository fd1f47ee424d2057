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

INSERT INTO public.audit VALUES (1, 1795328914580, 1, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x18693def3ac6c3d1b73736610ddfb6fb0958aa5e0dd28f78d56348d5cedbbb8c', '\x8476adfa7768f1befd322c612b3e3e618c4dfadcdcf7a678c9757ce367a21c16', 'acme', 'acme', NULL, '{"created_at":"2026-11-22T06:28:34.580Z","created_by":"key_admin","deleted_at":null,"deleting_at":null,"disabled":false,"display_name":"Acme","id":"acme","metadata":{"größe":"ü"},"pin_targets":false,"plan":"gold","store_prompts":false,"updated_at":"2026-11-22T06:28:34.580Z","usage_retention_days":30,"version":1,"zones":["eu"]}', '\x124a3c51876d2a589b2357a8438d5a8dc0eb99488cd8139ef05d459b783b7cdc', '\x72d160a3d784f2a891c62de58f1bab148f7953e02d237e4a7d45c1bfbc239bd2', '\x0000000000000000000000000000000000000000000000000000000000000000', '\x1a1ef532abcda699c834ccaf8c96468cc09ec10c0f1ff333b599fd6d0e6b5ea7');
INSERT INTO public.audit VALUES (3, 1795328914603, 3, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x906e6337ee7d6d60d7a0b4a4ce4ac6c0a1742f63c865fed98ed0972e043d141e', '\xfe5794498b89e15f60f748db0bb982ca0679238e2ca705c79e78cf2a53a56f2a', 'acme', 'user_dm7w3ekcqcrbetjlgvvz', NULL, '{"role":"owner"}', '\x2a8149817097909c764829839422ed4efed4df6d1888bb78ba0b372a18e3b186', '\xa8ab41b3b99b308440234af3c2ef2280e9bc38ebe3c9ecd613908aa483400c4f', '\x6cf4654a97ab67d58b79a1f54bf485b41c4015199f35cd490b81cabbb4e47e03', '\x995b681c4a91aac4877eac730206ccba3255bd32d0a74a8c1804b02905b4cc85');
INSERT INTO public.audit VALUES (5, 1795328914624, 5, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x76d6219af37a8b4f248f4eafdd4c2a7fae007c4c4c9482b0246455885bf1bc2c', '\x82c8e689394341b5c7babee3a19307e5ae001efe9ba37764ce8ec1c11aa25c06', 'acme', 'key_4wb4ugb7jqceqcmd7v3k', NULL, '{"created_at":"2026-11-22T06:28:34.624Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":"2027-01-31T00:00:00.000Z","id":"key_4wb4ugb7jqceqcmd7v3k","limits":null,"metadata":{},"models":null,"name":"ci","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T06:28:34.624Z","valid_until":null,"version":5}', '\xdf222a1432b3a7e6592fe3c7d34ba4d98b401bf593f7326e9103f922dde15129', '\x4f671b3b6c6a0f761ca55e23372bad04bbde8957e64d67aab8e6623e1653ea5c', '\xc286acb46a63d962b1f4518a65d3713006fc4eabc15b2205f3f71317a98de669', '\xa9c1b779cd83c7f0579e3ccf11ec5aedc3d2e0e92b7f842e2032425cf5a2564b');
INSERT INTO public.audit VALUES (6, 1795328914633, 6, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xe5ec5d0feff0ab5d38f807d7887164b4290a978af20b4280c8f7b33a84cec6b5', '\xd42cee9b3839bba51f68f59012ce57a6e3861966242e0435e7761509031c7542', 'acme', 'key_v3qk7xee4jnh6bhrqkt2', NULL, '{"created_at":"2026-11-22T06:28:34.633Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_v3qk7xee4jnh6bhrqkt2","limits":null,"metadata":{},"models":null,"name":"old","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T06:28:34.633Z","valid_until":null,"version":6}', '\xe5438bf8a81bdcd23e972eb2e91d683ba969c0bac9e095b975cb9d72cef8b00a', '\xb22643cfb9dee403d99837443c46ec75cf385c1d1712fe1533dec9c6ae8fad41', '\xa9c1b779cd83c7f0579e3ccf11ec5aedc3d2e0e92b7f842e2032425cf5a2564b', '\x424117e6a2b1016139be83cd96112c537f6469da43a6bad977408a52680e28dc');
INSERT INTO public.audit VALUES (7, 1795328914639, 7, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xe9720c6ca316969401eb8154a7dd7e751ead78aa734317c5ace6f707c355770a', '\x9e0576f5366f750b31313481eb507f1c443e01b04b955a8110514ef1efb67f4a', NULL, 'key_kn4tlpwz2ekulixjuykk', NULL, '{"created_at":"2026-11-22T06:28:34.639Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_kn4tlpwz2ekulixjuykk","limits":null,"metadata":{},"models":null,"name":"admin","pepper_id":"p1","prefix":"hg-Ab3xy","role":"admin","rotated_from":null,"tenant_id":null,"updated_at":"2026-11-22T06:28:34.639Z","valid_until":null,"version":7}', '\x48419ef065f72e7402093e884f5ea8b2b9d37e53a26d7aa42b35795eceffc57d', '\xd996288182dddb4d5effc05f3e1e3fe6ada54538a6f845666537b56268f55d66', '\x424117e6a2b1016139be83cd96112c537f6469da43a6bad977408a52680e28dc', '\x0ea39db0c83e8ebfc871da28bd6ee16d2ec75ed43cfa56abd588cb37736b62bd');
INSERT INTO public.audit VALUES (11, 1795328914685, 9, 'invoice.lost', 'invoice', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x997b4085f274c4bf75752126dbace67036774b80cf010ee8d9a69771af647c0d', '\x9a895b84728344d332c84aa1d1c991a72d1b0cb0592131826eb95ae644a1cdb1', NULL, 'OLD-000007', NULL, '{"number":"OLD-000007"}', '\xaa13afc0c7d3d7e74f48bb45510e0cee53ba3df50336fde101e39b1928920464', '\xba15bdc4a4e30def42616371e194f4cff0549d439b5a6fdc457d398689ee54dd', '\xe624d4b78d5b5393709ac80330d46cc48c6a1d4327399ea7067ec294aeb88dda', '\xf3bf1862f263d0c718189404d6e1513bd353333bb0833a70697946c23419df11');
INSERT INTO public.audit VALUES (12, 1795328914685, 9, 'test.fill', 'directory', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x3dcf1abee7c8c0f1d3d24c77f38e83a3aa7126cf8e23a355fbee9e6dfc4ed03f', '\x2e41b3663c1b25fdb44e1a63ea21d95eb2d95081d53bcab9f8806d8d7784f77d', 'acme', NULL, '{"a":null}', '{"ciphertext":"***","created_by":"key_admin","data_key_id":"dk_1","nonce":"***"}', '\xbda1a46306f98be4507b749927f5463816aae0a8a841642178fcb6deca3b8b64', '\x62218f454ae716366a6dc8520c9da1c62407e6a17a7ed10c17ff65d6e918db1c', '\xf3bf1862f263d0c718189404d6e1513bd353333bb0833a70697946c23419df11', '\x70610e4122acce6feb1b58a22dde6b836bd36b16d0cc81b91263b1b95c9185ab');
INSERT INTO public.audit VALUES (13, 1795328914748, 10, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x88f7d77ba57e4adc5747f95ae979d49591475e37d8d24cd1b59441e553eb3a5b', '\xf4cf6cec7b44c4fae92213538046c88d88d4a1a25491e6c0cb7fce5835318231', NULL, 'del_kxwdywnremb7mahdsiny', NULL, '{"fingerprint":"10c604e6932c2b1c9feab81ba562c6b9725819e47f909e56db82e51d9f7f105e"}', '\x1ce4ed34d29875a7975d8aa22949ec077501c17de5be12bbadfd188e897f7e61', '\xfc35ee753804bc6967b84f1b04da3a08359b885d36430400382e64483900ec7e', '\x70610e4122acce6feb1b58a22dde6b836bd36b16d0cc81b91263b1b95c9185ab', '\x281bc4c4bb2ddc115500448c5eef9b1263b79cfeffa4e50628c75f83a5eea1f2');
INSERT INTO public.audit VALUES (4, 1795328914617, 4, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xc1e001a31ec5d9479f8a7400728328fc4bc0f2d611dd7aa2f8a09ffdf3fa73e2', '\x358d1a65945066d2329738e18cd38be91f1e8e3856a1d0de1a4f0f96262cee21', NULL, NULL, NULL, NULL, NULL, '\x6316e453f21238390af1cb7e6c46f2f57786922f971d70f4321b72d8454b1ec6', '\x995b681c4a91aac4877eac730206ccba3255bd32d0a74a8c1804b02905b4cc85', '\xc286acb46a63d962b1f4518a65d3713006fc4eabc15b2205f3f71317a98de669');
INSERT INTO public.audit VALUES (14, 1795328914765, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x01797feb9b2d1e99698893c8c1361bf2825617a2a130b15f7007e9585bc1df47', '\x23d59f6b1496ef9afed72df5bedf88811ea5cd8aab75678472314ae28166e32f', NULL, NULL, NULL, '{"subject":[[4,4]]}', '\x40feb4c2d636343d00ef10b5bdc89d0438550991346810f15b0640d6ed513f09', '\x02d825aeb3459a5393afe097ef0cc8ae96bb4cb76de17e493ec1c485ea211beb', '\x281bc4c4bb2ddc115500448c5eef9b1263b79cfeffa4e50628c75f83a5eea1f2', '\x0ad2960d8f03ea596da3ab5f33e2945b1b571dce262fbe8a913a9d84e42603e7');
INSERT INTO public.audit VALUES (15, 1795328914785, 11, 'user.erase', 'user', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xfd76957251a607523e4e3c24f1128e4392e2a084c816343aa301b6e5b1ab8f52', '\xfbf910d0d3acb50a0ef59f3d56e9ff2387e720535de391f0a52fda19d9b1cc09', NULL, NULL, NULL, NULL, '\x6d00051fefd088e7bd28f34d370eab8bc78efb140ceea2f40cf67a23f50aaa30', '\xfcc218db645871d5e665e655c4ce3c355aa8d6538a2593600a937141b4fe63f6', '\x0ad2960d8f03ea596da3ab5f33e2945b1b571dce262fbe8a913a9d84e42603e7', '\x931e0c33fe8a0efe2e8772e25af998f5432ff6673486a64039e757fd9fdd6cc0');
INSERT INTO public.audit VALUES (2, 1795328914597, 2, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x5a2d2510bc3ecee3b14ac2c646da168881b5507bb204458ee3431ee04ec134d5', '\x393d06dc6f9d629a69da55795a58b7f3a08bf197fb2905fe78018cae93004d90', NULL, NULL, NULL, NULL, NULL, '\x97363fe2c7add9b97ca2e940c65dcf5fe40c0763b03a9437b7706ddba845a8b9', '\x1a1ef532abcda699c834ccaf8c96468cc09ec10c0f1ff333b599fd6d0e6b5ea7', '\x6cf4654a97ab67d58b79a1f54bf485b41c4015199f35cd490b81cabbb4e47e03');
INSERT INTO public.audit VALUES (8, 1795328914643, 8, 'key.create', 'key', 'user', NULL, NULL, NULL, NULL, NULL, '\x228a6296863e18c4bf3ec6782c0a9c10827d2da3ce209dd23c97ccf75ebb0f24', NULL, NULL, NULL, NULL, NULL, '\x756aca2561eb6f05fbba27f3da3d33ea25fff7bbeb4c8708bd17abf0f5937f22', '\x0ea39db0c83e8ebfc871da28bd6ee16d2ec75ed43cfa56abd588cb37736b62bd', '\x1ad8a0117d33232833520542eea21f3d20e21c7afdaa82ce713d66e502921e2d');
INSERT INTO public.audit VALUES (9, 1795328914685, 9, 'invoice.issue', 'invoice', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x221547d0ff77b7ea871cfedbb04857d7e4fea2e6fe11ce82eccf9b77c860b313', '\x9bb70175cdd1e7866eaba353d6031beb1bf37f9efd24b36808e0f3e860200370', NULL, NULL, NULL, NULL, NULL, '\x3bc336c3290be282971401d7f5eea6447f75502fec9db8dbc151d0bddf48d763', '\x1ad8a0117d33232833520542eea21f3d20e21c7afdaa82ce713d66e502921e2d', '\xa87392b0d263bcbd0d00f988e5c87b187974b5943c8e85bbafa57cd861df82c0');
INSERT INTO public.audit VALUES (10, 1795328914685, 9, 'credit_note.issue', 'credit_note', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xc5da90dafcf662617dd6339a94f07084a7335ee356fcfc759eba9ae52f810f52', '\xc50c439351d95d958cfd5b77ac3a9c03958a47db3874faeef9ca417bc15250eb', NULL, NULL, NULL, NULL, NULL, '\x7cbf0ccdc5e1348d2525f42321e7049ce50083519e02668c2b15a709527530a4', '\xa87392b0d263bcbd0d00f988e5c87b187974b5943c8e85bbafa57cd861df82c0', '\xe624d4b78d5b5393709ac80330d46cc48c6a1d4327399ea7067ec294aeb88dda');
INSERT INTO public.audit VALUES (16, 1795328914795, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xa0e5c10b46415f5049cc567c61cb51b776f4698e31c0055b9cbd1933668669c9', '\x18ba7853df42611f8683fb2ce0298f6c57fb1f2c9ba7ec7b149a6dcd9ed38acf', NULL, NULL, NULL, '{"actor":[[8,8]],"subject":[[2,2],[8,10]]}', '\xfae924e1bd6962fa62af0f6399f3d17c7c04987a0b922007aa48a368989e33d6', '\xa7ead90167c962249b9f61263581566f92e77e4b2ec3f701061f5beb2f6ffc3e', '\x931e0c33fe8a0efe2e8772e25af998f5432ff6673486a64039e757fd9fdd6cc0', '\x087549ce9cf311de54d90a81ae2cd46f59ba1917a012accf44fa7beb9c26eb11');
INSERT INTO public.audit VALUES (17, 1795328914813, 12, 'tenant.erase', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x34b2aeb2a9797e12535dad2db4a1aedf4347eae101994737e18960e0ad240db7', '\xd40755b8232ee6e57d8ec84efb222ac4fef1d4e807ee78d19b27d9f6c82a05ef', NULL, NULL, NULL, '{"rows":2}', '\x56225e20d565e01fe2a151c93cf6cc088469d36e50d667c49e2b8df2c2e903a3', '\x86eff141cbdf043c1b3d08d87e0a7672037bc8afa97b433ec9f5648345b3f926', '\x087549ce9cf311de54d90a81ae2cd46f59ba1917a012accf44fa7beb9c26eb11', '\xeae8b03535f8773fbc27837fd9288dd063c03b94893e7da9b4a5ab7227ce449f');
INSERT INTO public.audit VALUES (18, 1795328914843, NULL, 'tenant.deleted', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xda562862b9c7dfee9dd7d5d4be69f1e6832e5f5c0e9b24526d22178216ee252a', '\xd9386ec32536712c092cf751a999c92ba0d4e6927eae1987ec53a7868a2c1d8e', NULL, 'del_kxwdywnremb7mahdsiny', NULL, '{"stores":[]}', '\x8bf8e1d5bd69132e6673aae465a5bcf4f0fde4aa244e1e5b585af5e14404fc65', '\xdb6b4a8a788d838ffd8c81fc496b1a0807e7105f43d4bb53d3db894e3fdfb5c9', '\xeae8b03535f8773fbc27837fd9288dd063c03b94893e7da9b4a5ab7227ce449f', '\x3b14399f2948c831c98c302eebee370b16b2982643720c7c6989cc3109c6dae2');
INSERT INTO public.audit VALUES (19, 1795328914843, NULL, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x235e4b8b0c09e422e4f23e4039beccee11e88698d6b4f9961b8aa519d7f4af8c', '\xa54de075e7cdcd7ae37394c5477a2aad4621c45706f5dc3a32749c5beb6136ca', NULL, 'del_a3c2liiooheoiha3zutq', NULL, '{"fingerprint":"056f8df85c053251127492cb8b210a53cd821f78a10b502492ac213d4911b20c"}', '\x7bc58c7282c84c3270a2a3bb22f82f5f6462bb33510fb62cea8f338a66a82987', '\xd7a91985e58999cd9492ad1e6f5b1ee8f75a29d435ac49892b5949aa41775478', '\x3b14399f2948c831c98c302eebee370b16b2982643720c7c6989cc3109c6dae2', '\xab40e013badc3a55f23b5f40d82de4991b335851dc4149404b2d92f40beaff39');

INSERT INTO public.data_keys VALUES ('dk_1', '\x00000000000000000000000000000000000000000000000000000000000000000000000000000000', 'file:data-key', 1795328914685, 1795328914685);

INSERT INTO public.directory_version VALUES (1, 12, 0);

INSERT INTO public.events VALUES ('msg_1', 'acme', 1795328914685, '{"type":"invoice.issued"}');

INSERT INTO public.headgate_schema VALUES ('0001');

INSERT INTO public.hosts VALUES ('host_1', 'gateway-1', 1795328914726, 1795328914726, 1796173200000, 'at clickhouse:8123/headgate');

INSERT INTO public.idempotency_keys VALUES ('\x34301acb2d391123f50568586e9dae7610fd718cc23b757798bd0d03a294efb4', 'acme', '\x0000000000000000000000000000000000000000000000000000000000000000', 201, '\x7b7d', 1795415314685);

INSERT INTO public.invoices VALUES (2, 'INV-000002', 'credit_note', 'gone', '2026-11', 1, 1, 1795328914685, -1250, '{}', '\x44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', '<p></p>', '\xfe04a9dc88d3f3be8d4f6bc63a9a80f45a4c6d8460e7551dab849457c091920a', 1795328914813);
INSERT INTO public.invoices VALUES (1, 'INV-000001', 'invoice', 'gone', '2026-11', 1, NULL, 1795328914685, 1250, '{"number":"INV-000001"}', '\xf73b835b2463897f8cef3843bfbceb6d05c2137ae02354ce7a525b8deb3de975', '<p>ü</p>', '\x3f08d999915773475441df32aaf6d7f773b76fe587502b36fb6fcf45aee9e5cc', 1795328914813);

INSERT INTO public.key_uses VALUES ('acme', 'key_4wb4ugb7jqceqcmd7v3k', 1796083200000);

INSERT INTO public.limits VALUES ('acme', 'tenant', 'acme', '{"rpm":9}', 9, 1795328914685, 1795328914685, NULL);

INSERT INTO public.lost_invoices VALUES ('OLD-', 7, 1795328914685);

INSERT INTO public.memberships VALUES ('acme', 'user_dm7w3ekcqcrbetjlgvvz', 'owner', 3, 1795328914603, 1795328914603, NULL);
INSERT INTO public.memberships VALUES ('gone', 'user_45ccr7ggrmewv2atjy7c', 'developer', 11, 1795328914617, 1795328914785, 1795328914785);

INSERT INTO public.model_grants VALUES ('acme', 'chat', 'key_admin', 9, 1795328914685, 1795328914685, NULL);

INSERT INTO public.plans VALUES ('gold', 'Gold', '{"rpm":60,"tpm":{"limit":5,"soft":4}}', NULL, 9, 1795328914685, 1795328914685, NULL);

INSERT INTO public.provider_credentials VALUES ('openai', 'api_key', '\x010203', '\x000102030405060708090a0b', 'dk_1', 'key_admin', 9, 1795328914685, 1795328914685, NULL);

INSERT INTO public.tenant_deletions VALUES ('del_kxwdywnremb7mahdsiny', NULL, '\x10c604e6932c2b1c9feab81ba562c6b9725819e47f909e56db82e51d9f7f105e', 'key_admin', 1795328914748, '[]', 1795328914843);
INSERT INTO public.tenant_deletions VALUES ('del_a3c2liiooheoiha3zutq', 'another', '\x056f8df85c053251127492cb8b210a53cd821f78a10b502492ac213d4911b20c', 'key_admin', 1795328914843, '[]', NULL);

INSERT INTO public.tenants VALUES ('acme', 'Acme', 'gold', '["eu"]', false, false, false, 30, '{"größe":"ü"}', 'key_admin', NULL, 1, 1795328914580, 1795328914580, NULL);
INSERT INTO public.tenants VALUES ('gone', '', NULL, NULL, false, false, true, NULL, '{}', '', 1795328914748, 12, 1795328914597, 1795328914813, 1795328914813);

INSERT INTO public.usage_gateways VALUES ('gateway-1', 'host_1', NULL, 9, 1152921504606846976, 1796173200000);

INSERT INTO public.users VALUES ('user_dm7w3ekcqcrbetjlgvvz', 'https://id.example', 'alice', 'alice@example.org', NULL, NULL, false, 3, 1795328914603, 1795328914603, NULL);
INSERT INTO public.users VALUES ('user_45ccr7ggrmewv2atjy7c', '', '', NULL, NULL, NULL, true, 11, 1795328914617, 1795328914785, 1795328914785);

INSERT INTO public.virtual_keys VALUES ('key_4wb4ugb7jqceqcmd7v3k', 'acme', 'ci', 'hg-Ab3xy', '\x0c7ff473cf994ec12702cdab55c48b10b282a9432060820a3e21a9e46da49e6c', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', 1801353600000, NULL, NULL, false, 5, 1795328914624, 1795328914624, NULL);
INSERT INTO public.virtual_keys VALUES ('key_kn4tlpwz2ekulixjuykk', NULL, 'admin', 'hg-Ab3xy', '\x01eab5db639a438b873891d5655ce01a83eb7dd5cb8893ce562a0343702ee924', 'p1', 'admin', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 7, 1795328914639, 1795328914639, NULL);
INSERT INTO public.virtual_keys VALUES ('key_v3qk7xee4jnh6bhrqkt2', 'acme', 'old', 'hg-Ab3xy', '\x14ca78684d062e2e5139138db3b026da309b6cfe119ba551db5d44844cb637cd', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 9, 1795328914633, 1795328914685, 1795328914685);
INSERT INTO public.virtual_keys VALUES ('key_amknfr4n4fs4cylyuken', 'gone', '', '', '\xd84e7dd5ce1c8051b522f32bb9a4a8a874bb878182da6da1d3b43162ba300839', 'p1', 'developer', NULL, NULL, NULL, '{}', '', NULL, NULL, NULL, false, 12, 1795328914643, 1795328914813, 1795328914813);

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
