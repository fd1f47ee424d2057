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

INSERT INTO public.audit VALUES (1, 1795344010636, 1, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x6020e92b9d6052dc3ea62e31dcfd745bfb80b5cf27b0b7bde9d07ebd7b601339', '\xc5df3996a593d5f7c8738b19afdb9f8dc9899e7eb596fe098ba147514b7f64e2', 'acme', 'acme', NULL, '{"created_at":"2026-11-22T10:40:10.636Z","created_by":"key_admin","deleted_at":null,"deleting_at":null,"disabled":false,"display_name":"Acme","id":"acme","metadata":{"größe":"ü"},"pin_targets":false,"plan":"gold","pricing":{"discount":"10%"},"store_prompts":false,"updated_at":"2026-11-22T10:40:10.636Z","usage_retention_days":30,"version":1,"zones":["eu"]}', '\x97c6014164d1b7ba93989116aaa1cf80f86c7545fc09b71aa3beac356797f959', '\x24213aa9335b74959a44398936c4f3c8369565934fc94e313e08ce14fb817c2f', '\x0000000000000000000000000000000000000000000000000000000000000000', '\xdcf8fea9ca48eb568690f7911d3065bd348b59b22a5dbc729e3e960ede1d3cf0');
INSERT INTO public.audit VALUES (3, 1795344010650, 3, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x58147efda0c5f2aa2dbcebd942c63f40ce49e9c733edfcc48c45cd1d8c40156e', '\x194a9d6e86341007512e4423c668cc33e9cb8eae81bd32ad7530a92d43535494', 'acme', 'user_tvrhfogimxhrte4j4ujo', NULL, '{"role":"owner"}', '\xef6ca169ee240b878692146586c0cc3a19a31afb1925e24b76ac745697e63208', '\x3bf9fb2d31885be9ffc8103c44997f75f30da2dba61209fd148aa42af364977c', '\x333adddb56ecbe7a46874a7ece3b3d44c552d96a48234cf41d0271f4cd45eb73', '\x32bed08d0a948902385017154e55322ce650aa4abc15ab65a5e49cde710a9350');
INSERT INTO public.audit VALUES (5, 1795344010663, 5, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x7298f6174ed45a95585b3ce3d1144d9e50b94fff4557f42138a375f71ff2e47d', '\x77078819d6e8af5852e09166a16701137031945eed25f675521baaf45561331f', 'acme', 'key_76nveu3hixiiyjm7y5ce', NULL, '{"created_at":"2026-11-22T10:40:10.663Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":"2027-01-31T00:00:00.000Z","id":"key_76nveu3hixiiyjm7y5ce","limits":null,"metadata":{},"models":null,"name":"ci","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T10:40:10.663Z","valid_until":null,"version":5}', '\xb59d27dbc3a2a7758c02502f2e69cc33587e114fbd3171a61e208f90692970c1', '\xe6b31c474e06f413e62e0ef0ee77467a4ee8517b3000d16ff3c4a644c5a70e52', '\x6dfa58f2a871c0b0616d59afcd4c34de5e4f1f31247f9290f17dc443f9d5f904', '\x1d8649c915125e3704c9ec6870db4dee7f1bcc8f50b73e567aa4113a66ec276d');
INSERT INTO public.audit VALUES (6, 1795344010669, 6, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x008538fea167c34c06acf9790dee08be5e36c70d5c83b320de56908707097dd8', '\x5db07f61fe528757cd7b3237e8398d3fade2b15e99bc284e4f89d30ab5139749', 'acme', 'key_uu5e64x4nn3hdigrnyl5', NULL, '{"created_at":"2026-11-22T10:40:10.669Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_uu5e64x4nn3hdigrnyl5","limits":null,"metadata":{},"models":null,"name":"old","pepper_id":"p1","prefix":"hg-Ab3xy","role":"developer","rotated_from":null,"tenant_id":"acme","updated_at":"2026-11-22T10:40:10.669Z","valid_until":null,"version":6}', '\x168b919e216a2b576e23dd6592fea42986693cabeb5269bb8ae4cd0feb6490fd', '\xec558fcd7c9abb523497a87a8f61b28a8d2c90f6490c174bb3a230112cddcb90', '\x1d8649c915125e3704c9ec6870db4dee7f1bcc8f50b73e567aa4113a66ec276d', '\x881417ec6f2c2b6283e3d0a41c991ee1912306d095b48214606b8b250f318476');
INSERT INTO public.audit VALUES (7, 1795344010673, 7, 'key.create', 'key', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x3c0da51a2ba3449534952cbc6fa3e7cd5734fcd6b9848b4b3dfb22181d9a9bb5', '\x7582e73f266f5f7e204dc24dc346363fe7035e80c57ae36eaa81de07bf044941', NULL, 'key_sixv2qwvwn3ercgzcs7a', NULL, '{"created_at":"2026-11-22T10:40:10.673Z","created_by":"key_admin","deleted_at":null,"digest":"***","disabled":false,"endpoints":null,"expires_at":null,"id":"key_sixv2qwvwn3ercgzcs7a","limits":null,"metadata":{},"models":null,"name":"admin","pepper_id":"p1","prefix":"hg-Ab3xy","role":"admin","rotated_from":null,"tenant_id":null,"updated_at":"2026-11-22T10:40:10.673Z","valid_until":null,"version":7}', '\x0c602e193f23cb01c85338d32e688cc24bbc230102ccd18c48184b15d5c0b920', '\x97155094974594e6756c41186b9d1d23ffed62033be17b25ffee592dfea3ab01', '\x881417ec6f2c2b6283e3d0a41c991ee1912306d095b48214606b8b250f318476', '\xa854786b8be4d669917bae354694b8f3a6d4925fe6d959502e3890ef1e250d8f');
INSERT INTO public.audit VALUES (11, 1795344010679, 9, 'invoice.lost', 'invoice', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x0e440fec52d2b9471f341edf1660ddd28ea24622876891d4bc2d73cc6faa669f', '\xa2af7d472f0eee5b8675bce52a6825e65219fb0271275bab17202b5119df7bce', NULL, 'OLD-000007', NULL, '{"number":"OLD-000007"}', '\x5ac1654c79ff12dd584bf5dbe03f2cd3b05e55256660e60f1c09cb279c2b6542', '\x9afe0208b9a6cc4464f95409b5d8655899466b933c117dc3fbf92998745b0b0a', '\xfbf237e8da2babc9dbfe18d579c400474aa3e869f2fdc9e0a722ab459454a59e', '\xffeee3d514f0214f972222305a39772f5bf59daf3029f376711f9f1b5aedc22d');
INSERT INTO public.audit VALUES (13, 1795344010679, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xe189badc8df71a263c5a9013b21b3358009faabdc22062d252970fa457817cb2', '\xa9acac14c1e4cc75cb0e797da312c9d6956bec71790dbce85c4d85bfcc547c3d', 'acme', 'credit_mpgirt6apn6roscyyrxu', NULL, '{"amount_nano":100000000000,"ended":null,"expires_on":"2027-01-31","kind":"prepaid","note":""}', '\x81af2728433cd0108ec64c89dc97aee37a3a54f8012ec29dcfcfc4077f36b7a0', '\x03521e2612b2609c42b005217c951723a669bc6c78e6f3185ef48b3ab1fe46dd', '\x20a07d3756a3768b739c75e533a176ba0240dd2686232e05d49eab9c9e2a1fc7', '\x884a37596a61b4c9db33a01fbb03e0f8e01e785a7887b2f7eedead6db9d5f838');
INSERT INTO public.audit VALUES (14, 1795344010679, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xcec84bb3d7b4586c4bbc99b3a06a357cdc9345ea6fc8b9fbbfc4210e129b7af1', '\x1a457f7818ad2ea88c718da22283afd73341a68540941c103dfa779ddaedeaf2', 'acme', 'credit_rpoop3ncq7cuzqml75zx', NULL, '{"amount_nano":100000000000,"ended":null,"expires_on":"2100-01-31","kind":"prepaid","note":""}', '\xf172d99104c2e65e5580a2cbd59ac14ace51bda94dd4c00857100849eeb85002', '\x350e3bab7e59d3e7822248ec59fe3f57bb897caf5709a4edae6855697720e18d', '\x884a37596a61b4c9db33a01fbb03e0f8e01e785a7887b2f7eedead6db9d5f838', '\x03291944efd1fcc873001b57c9ee1c63e3dea24326840f5bc7bb15ddc8faf77c');
INSERT INTO public.audit VALUES (2, 1795344010646, 2, 'tenant.create', 'tenant', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xcfb99247be74703bc4c9ddb13cc20c2c36716acc7c46e09ae0696f0f9b68b4cf', '\x56b1d17b6b9e0c564ec04f0ff2a27e941de92db77ce02de87cbe9281447a2ac9', NULL, NULL, NULL, NULL, NULL, '\x8cff2626a189ff7a259eb84748c3aee303910ccc78bd9b5d1124832b4998849c', '\xdcf8fea9ca48eb568690f7911d3065bd348b59b22a5dbc729e3e960ede1d3cf0', '\x333adddb56ecbe7a46874a7ece3b3d44c552d96a48234cf41d0271f4cd45eb73');
INSERT INTO public.audit VALUES (9, 1795344010679, 9, 'invoice.issue', 'invoice', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xcd3fdd363ca86db093c99c0213ca8f4297f0e67bccd24a5cf33516374896f9a5', '\xd2031fe26b83e4930d53ce66d1828a5eab61b4f1d34efd9fdaada563274ada53', NULL, NULL, NULL, NULL, NULL, '\xb42aca8969682b0db5444f36d4eb425d3b982175513fa96553964c85a90004b2', '\x0c386f2f8212414319abcd6b147a1da86b5f025801673aba098d491225f5b11c', '\x03d4660431421b0204caebeb3ffd88cc633434ce099e9aab1420d632701161d5');
INSERT INTO public.audit VALUES (15, 1795344010679, 9, 'credits.expire', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x21a7e95ad1d2fe82b92512fe150060788c98f4a9549e14905d3e5f85e724c0e5', '\xdc6925e17b870da1504e099706c2895863155372d0e4c74d8ec324d59fec30e2', 'acme', 'credit_euwor3pcvgghyulg2lsc', NULL, '{"amount_nano":-1,"ended":2,"expires_on":null,"kind":"expired","note":""}', '\xa5040e61e6128ba3d72c3aa4887ed69035fdda3530fa55167b307618f61883b6', '\x1bba63839177bdcd7c800aebe3bda199451bed909581106afac5316851ac9ef9', '\x03291944efd1fcc873001b57c9ee1c63e3dea24326840f5bc7bb15ddc8faf77c', '\xd9bfc2fbe5efb3229d2696734dce148167e5e7de02f5fa61e4232c697891c93a');
INSERT INTO public.audit VALUES (16, 1795344010679, 9, 'test.fill', 'directory', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xd3a5d8589e3049227d72ac3993837c0b3446362c13fb56970eb76ddc7a3547c6', '\xb5e659653788327214f88cc8d0dbfe39fcd2d822e2f72d80ca342f32ae665596', 'acme', NULL, '{"a":null}', '{"ciphertext":"***","created_by":"key_admin","data_key_id":"dk_1","nonce":"***"}', '\xb4d17ecd43476f1dd0c9f43036e39ca4a9fcb3b3bc1add65dba3334422b42af4', '\x4f08b035a0c2c40564f79eeeea69557e5b836bbbf88119e40ca163dc837f1655', '\xd9bfc2fbe5efb3229d2696734dce148167e5e7de02f5fa61e4232c697891c93a', '\x853bf5799015685b8b3d3889b3489f1cb356d1b961c0ea53193671a782272b2a');
INSERT INTO public.audit VALUES (17, 1795344010731, 10, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x8c2937f19ac0b4ff94a8016181ac540e910a7f5d87ec803ce0b49f4fbda2513e', '\x59bdca79b1c8d66d9d2589649f7cd3dfe550edac2958b82a570ca7db6005c1aa', NULL, 'del_giqnqujxllbwxrpx3sif', NULL, '{"fingerprint":"2e0fb6915a8f91e6a1e3d81c1b96dc9d7a8416d76b827962310d9c0aa3aeb1e0"}', '\x83e724584cfa133326f3d6be15ced30cc0afd66fddf02ace2e14f9bf2a5f61bf', '\xf5dd93fbda48e9a793b30e83ad8815de7d6dd3997cf6107870675ebb86acc943', '\x853bf5799015685b8b3d3889b3489f1cb356d1b961c0ea53193671a782272b2a', '\x7019da9b00c847daa8c7f3a70b671959ddc98c65d07a97324ceb9e9d53a8fa53');
INSERT INTO public.audit VALUES (4, 1795344010658, 4, 'membership.create', 'membership', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x40fa3c46eb8c74e1cc33a7ae8c5e7cb80d8db78e8176c4fbb076f56d87510894', '\x3d161852823f8567aac70372dc8bef9b5164190153b22c8c9430b194fe879756', NULL, NULL, NULL, NULL, NULL, '\x13dc250abbe4b3f161e52a1d1dbcb686558cec32627eab4a00f712ccf7a0c8c7', '\x32bed08d0a948902385017154e55322ce650aa4abc15ab65a5e49cde710a9350', '\x6dfa58f2a871c0b0616d59afcd4c34de5e4f1f31247f9290f17dc443f9d5f904');
INSERT INTO public.audit VALUES (18, 1795344010740, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x8e4083ac93f33c7fa8c1d138536a95da508e4616825041b1f6de5427b1702d7c', '\xa9837b2a1f82d075f25e3ef971a58a5480c94c3ad76386bfa3202351ee28e1d0', NULL, NULL, NULL, '{"subject":[[4,4]]}', '\x325d3db0096b2c6ed3ece8cf35daae9050b9cafe4a3eda93b24cbc7a230b1163', '\x9e4d99fe33da324a83e8ec035c2dc7785c1c9ae020fb60f6d562b801d3be7d7d', '\x7019da9b00c847daa8c7f3a70b671959ddc98c65d07a97324ceb9e9d53a8fa53', '\x38c3c3d32fa9f8bd66cfafef819220b6c651a46682aee8d98d9aae6348848671');
INSERT INTO public.audit VALUES (19, 1795344010747, 11, 'user.erase', 'user', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x31ab32992a607d8a622cf395aa9a98bda619bfbbb7672dea3575e7e2e4fd8c9a', '\x4cf1110b973a0fb2a499acd808311712d935a1b10dbf5208a42f760b7b87d306', NULL, NULL, NULL, NULL, '\x6fce06818031a0f32b24dd1a5dd91cbc257db20b78773d53cab982d2090dd4c7', '\xcd663ac362b3f0718181874c31e9315cd055cb814ad31e84cec453c4d5c604ef', '\x38c3c3d32fa9f8bd66cfafef819220b6c651a46682aee8d98d9aae6348848671', '\x1970f6827667c6685f6b32cd22209bbafad42f0831b721b3d9b42ada221987d9');
INSERT INTO public.audit VALUES (8, 1795344010676, 8, 'key.create', 'key', 'user', NULL, NULL, NULL, NULL, NULL, '\x953a1c899c71e85b9e4f545bd1532afa1a77e9ea23f76c1da682edd7fef94059', NULL, NULL, NULL, NULL, NULL, '\x8b318a71813c73119e5f77a48deb26411bcab24e2bd8f40b39b770a233b5e1e4', '\xa854786b8be4d669917bae354694b8f3a6d4925fe6d959502e3890ef1e250d8f', '\x0c386f2f8212414319abcd6b147a1da86b5f025801673aba098d491225f5b11c');
INSERT INTO public.audit VALUES (10, 1795344010679, 9, 'credit_note.issue', 'credit_note', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x4292d0566d365f157e6d11b7635ab8856dccc6eee95d9e263b8d85a908e1bdd7', '\x0836e928dafec3ba91123db8829ef45be8e5e84a260d89841e0a056bdf962bb6', NULL, NULL, NULL, NULL, NULL, '\x1bde46debe950932bcc4d266dbbf36ef8153848840f721f4ac049d09ab7fc266', '\x03d4660431421b0204caebeb3ffd88cc633434ce099e9aab1420d632701161d5', '\xfbf237e8da2babc9dbfe18d579c400474aa3e869f2fdc9e0a722ab459454a59e');
INSERT INTO public.audit VALUES (12, 1795344010679, 9, 'credits.book', 'credit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x6b4fcee63e5d5e1e4944a9eb83a9a31aa1a390418f93939bd41d0c0b7105c4a0', '\x65176800c91dbcee25179b1b2a29d3654c0967421a0acfdfec643f52639c2deb', NULL, NULL, NULL, NULL, NULL, '\x04694c82af4eac2dbb24c87064cbf5b9457f19263c6b7f5c42cd52809730794f', '\xffeee3d514f0214f972222305a39772f5bf59daf3029f376711f9f1b5aedc22d', '\x20a07d3756a3768b739c75e533a176ba0240dd2686232e05d49eab9c9e2a1fc7');
INSERT INTO public.audit VALUES (20, 1795344010753, NULL, 'audit.erase', 'audit', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xe28bdc7c79e71e0af8e4c6de49e12492c5953c20dcdd90c949e64b86d99f95d0', '\x874aa3a995cb31c6cf2b6144cfdd5e7677c97c8f77ae6e8a98ac0fd62a460ffc', NULL, NULL, NULL, '{"actor":[[8,8]],"subject":[[2,2],[8,10],[12,12]]}', '\x1550435d23b932009e522fa8e75c4310aa27178d5f4b1441880ff999d51e7de8', '\x6e684a1e956158914aa678be9c94e072be5dd7422884484cb37231ef3a56a413', '\x1970f6827667c6685f6b32cd22209bbafad42f0831b721b3d9b42ada221987d9', '\x8739fd3d8c91736a92fcda5cdaabd91929f682dc451678e46decf5f54febea6d');
INSERT INTO public.audit VALUES (21, 1795344010760, 12, 'tenant.erase', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\xce6b936bc0f952eb3e4ab98b2ea0ae24cce91f89d821c915ed82af4a27d19e95', '\x91bd115efd16ac5bb6c392ac11a9d1704cc716855c23593e495868ac1e2d0f28', NULL, NULL, NULL, '{"rows":3}', '\xe27965a7f9d2bfd9685c369258f75c590fafd3ebe9b83affa939e3e79b270edd', '\xf7131992edf1775edf1fa6334fcb0355d8c5a177ba9789a73b17b4c0a06fef88', '\x8739fd3d8c91736a92fcda5cdaabd91929f682dc451678e46decf5f54febea6d', '\xd9ad0d59fcf6753e1fbded857a7c416dec9bd9e20a74e74a4bfd21df3605116e');
INSERT INTO public.audit VALUES (22, 1795344010788, NULL, 'tenant.deleted', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x7de3931fef9e8cb6434a4a30007b44c85394dfc16fa760fc948ae605047e9207', '\x0f7aef8182c457dbdf63c633103b0d54106255b1a19d7500975b9ace3e273fc5', NULL, 'del_giqnqujxllbwxrpx3sif', NULL, '{"stores":[]}', '\x89f6ad3b2f11dbb0a1822da0ba7b67ac10b52c53f773907f4f08add8a264060d', '\x50b2a38f77e756a9a549aa62b26738c7cf64477cf013c6f8ef7c79d2770801c4', '\xd9ad0d59fcf6753e1fbded857a7c416dec9bd9e20a74e74a4bfd21df3605116e', '\xf259f30139cf34fb5a5bd8bf5a7c5420db6eb7f731349897618717f6d501c70c');
INSERT INTO public.audit VALUES (23, 1795344010788, NULL, 'tenant.delete', 'deletion', 'key', 'key_admin', NULL, '192.0.2.1', 'req-1', '\x7d3bb0318a8fd0f7283482811ac67301543f3f7b724be4eb93e686dcb72549cd', '\x39267b3b67949f57a37e9dac777f0242ac3ac291ccebd2349a3cc82c4c87fac5', NULL, 'del_prf5e7cspm2oelifeboj', NULL, '{"fingerprint":"10b5b93f3d96431c6c434c02c8052653aea82ac9f0b57e6463825c9b05bdd8a7"}', '\x240beb1ddcbea270c9c8000dcd443c0a9ecbbc5438e6ea19522503e899bcf4ba', '\x71b6b3d8e90e6f0a96e8747ac20b596474ca5caf96fd3009b3981ebaed111fa8', '\xf259f30139cf34fb5a5bd8bf5a7c5420db6eb7f731349897618717f6d501c70c', '\x78dd4b9d2498e44aa52865e7df5eb7877f4d62177c07cffd8bafdf0774f7b1b5');

INSERT INTO public.credit_accounts VALUES ('acme', 20779, 199999999999, '[[4105123200000,100000000000]]', 9, 1795344010679, 1795344010679, NULL);
INSERT INTO public.credit_accounts VALUES ('gone', 0, 0, '[]', 12, 1795344010679, 1795344010760, 1795344010760);

INSERT INTO public.credit_entries VALUES (2, 'credit_mpgirt6apn6roscyyrxu', 'acme', 'prepaid', 100000000000, 20849, '', NULL, 1795344010679, 'key_admin', NULL);
INSERT INTO public.credit_entries VALUES (3, 'credit_rpoop3ncq7cuzqml75zx', 'acme', 'prepaid', 100000000000, 47512, '', NULL, 1795344010679, 'key_admin', NULL);
INSERT INTO public.credit_entries VALUES (4, 'credit_euwor3pcvgghyulg2lsc', 'acme', 'expired', -1, NULL, '', 2, 1795344010679, 'system:credits', NULL);
INSERT INTO public.credit_entries VALUES (1, 'credit_xeexzxnkyvo23vzy2prd', 'gone', 'prepaid', 100000000000, NULL, 'ü', NULL, 1795344010679, 'key_admin', 1795344010760);

INSERT INTO public.data_keys VALUES ('dk_1', '\x00000000000000000000000000000000000000000000000000000000000000000000000000000000', 'file:data-key', 1795344010679, 1795344010679);

INSERT INTO public.directory_version VALUES (1, 12, 0);

INSERT INTO public.events VALUES ('msg_1', 'acme', 1795344010679, '{"type":"invoice.issued"}');

INSERT INTO public.headgate_schema VALUES ('0001');

INSERT INTO public.hosts VALUES ('host_1', 'gateway-1', 1795344010723, 1795344010723, 1796173200000, 'at clickhouse:8123/headgate');

INSERT INTO public.idempotency_keys VALUES ('\x34301acb2d391123f50568586e9dae7610fd718cc23b757798bd0d03a294efb4', 'acme', '\x0000000000000000000000000000000000000000000000000000000000000000', 201, '\x7b7d', 1795430410679);

INSERT INTO public.invoices VALUES (2, 'INV-000002', 'credit_note', 'gone', '2026-11', 1, 1, 1795344010679, -1250, '{}', '\x44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', '<p></p>', '\xfe04a9dc88d3f3be8d4f6bc63a9a80f45a4c6d8460e7551dab849457c091920a', 1795344010760);
INSERT INTO public.invoices VALUES (1, 'INV-000001', 'invoice', 'gone', '2026-11', 1, NULL, 1795344010679, 1250, '{"number":"INV-000001"}', '\xf73b835b2463897f8cef3843bfbceb6d05c2137ae02354ce7a525b8deb3de975', '<p>ü</p>', '\x3f08d999915773475441df32aaf6d7f773b76fe587502b36fb6fcf45aee9e5cc', 1795344010760);

INSERT INTO public.key_uses VALUES ('acme', 'key_76nveu3hixiiyjm7y5ce', 1796083200000);

INSERT INTO public.limits VALUES ('acme', 'tenant', 'acme', '{"rpm":9}', 9, 1795344010679, 1795344010679, NULL);

INSERT INTO public.lost_invoices VALUES ('OLD-', 7, 1795344010679);

INSERT INTO public.memberships VALUES ('acme', 'user_tvrhfogimxhrte4j4ujo', 'owner', 3, 1795344010650, 1795344010650, NULL);
INSERT INTO public.memberships VALUES ('gone', 'user_idk5waomo7hkhfp7sszv', 'developer', 11, 1795344010658, 1795344010747, 1795344010747);

INSERT INTO public.model_grants VALUES ('acme', 'chat', 'key_admin', 9, 1795344010679, 1795344010679, NULL);

INSERT INTO public.plans VALUES ('gold', 'Gold', '{"rpm":60,"tpm":{"limit":5,"soft":4}}', NULL, '{"models":{"chat":{"markup":"2.5%"}}}', 9, 1795344010679, 1795344010679, NULL);

INSERT INTO public.provider_credentials VALUES ('openai', 'api_key', '\x010203', '\x000102030405060708090a0b', 'dk_1', 'key_admin', 9, 1795344010679, 1795344010679, NULL);

INSERT INTO public.tenant_deletions VALUES ('del_giqnqujxllbwxrpx3sif', NULL, '\x2e0fb6915a8f91e6a1e3d81c1b96dc9d7a8416d76b827962310d9c0aa3aeb1e0', 'key_admin', 1795344010731, '[]', 1795344010788);
INSERT INTO public.tenant_deletions VALUES ('del_prf5e7cspm2oelifeboj', 'another', '\x10b5b93f3d96431c6c434c02c8052653aea82ac9f0b57e6463825c9b05bdd8a7', 'key_admin', 1795344010788, '[]', NULL);

INSERT INTO public.tenants VALUES ('acme', 'Acme', 'gold', '["eu"]', false, false, false, 30, '{"discount":"10%"}', '{"größe":"ü"}', 'key_admin', NULL, 1, 1795344010636, 1795344010636, NULL);
INSERT INTO public.tenants VALUES ('gone', '', NULL, NULL, false, false, true, NULL, NULL, '{}', '', 1795344010731, 12, 1795344010646, 1795344010760, 1795344010760);

INSERT INTO public.usage_gateways VALUES ('gateway-1', 'host_1', NULL, 9, 1152921504606846976, 1796173200000);

INSERT INTO public.users VALUES ('user_tvrhfogimxhrte4j4ujo', 'https://id.example', 'alice', 'alice@example.org', NULL, NULL, false, 3, 1795344010650, 1795344010650, NULL);
INSERT INTO public.users VALUES ('user_idk5waomo7hkhfp7sszv', '', '', NULL, NULL, NULL, true, 11, 1795344010658, 1795344010747, 1795344010747);

INSERT INTO public.virtual_keys VALUES ('key_76nveu3hixiiyjm7y5ce', 'acme', 'ci', 'hg-Ab3xy', '\x601288429a726f832867d6d087e129a38640b8730d84a026dbcbe16e8235492e', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', 1801353600000, NULL, NULL, false, 5, 1795344010663, 1795344010663, NULL);
INSERT INTO public.virtual_keys VALUES ('key_sixv2qwvwn3ercgzcs7a', NULL, 'admin', 'hg-Ab3xy', '\x818aba8ee9b2332e7750c7d2b2ed4ac6b1df7972ed1f4af6d53d7cf221c14df0', 'p1', 'admin', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 7, 1795344010673, 1795344010673, NULL);
INSERT INTO public.virtual_keys VALUES ('key_uu5e64x4nn3hdigrnyl5', 'acme', 'old', 'hg-Ab3xy', '\xa2cfcd94d5cfce1825183bba9b00a67e116567a5d5ecdd420f7078b99001e182', 'p1', 'developer', NULL, NULL, NULL, '{}', 'key_admin', NULL, NULL, NULL, false, 9, 1795344010669, 1795344010679, 1795344010679);
INSERT INTO public.virtual_keys VALUES ('key_cec6zamegtlpipwwt4q2', 'gone', '', '', '\xaf1545d845dd3f8cfd4282251fe9c3aa51503619ee4a76866f21741b7cc9add7', 'p1', 'developer', NULL, NULL, NULL, '{}', '', NULL, NULL, NULL, false, 12, 1795344010676, 1795344010760, 1795344010760);

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
