import { z } from 'zod';
import { instant } from '../../base/time.ts';
import type { RuleResource } from '../../domain/where/evaluate-where.ts';
import { kindNamed, kindsOfResources } from '../../domain/resources/registry.ts';
import type { ResourceKind } from '../../domain/rule-subjects.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import { operation } from '../operation.ts';
import { position } from './fields.ts';

/** Any kind of the registry; its own schema says what a document of it has. */
export const document = z.looseObject({
  kind: z.string(),
  version: z.string(),
  metadata: z.looseObject({ name: z.string(), revision: z.string().optional() }),
}) as unknown as z.ZodType<ResourceDocument, ResourceDocument>;
const kind = z.enum(kindsOfResources.map((one) => one.kind));
const name = z.string().min(1).max(256);
const rules: readonly ResourceKind[] = [...new Set(kindsOfResources.map((one) => one.rules))];

const about = ({ kind: of, name: called }: { kind: string; name?: string | undefined }): RuleResource => ({
  kind: kindNamed(of).rules,
  name: called,
});
const aboutDocument = ({ document: { kind: of, metadata } }: { document: ResourceDocument }): RuleResource =>
  about({ kind: of, name: metadata.name });

const input = { kind, name };
/**
 * As it was after the last event at or before this time. Documents have no revision then, so that a file of
 * them can be written back. @throws CodedError `bad_request` for a kind whose past is not kept; `unavailable`
 * on a long log: each further try gets further.
 */
const at = instant.optional();

/** All resources of a kind that the caller may read, by name. */
export const listResources = operation({
  name: 'resource.list',
  repeatable: true,
  who: ['Admin', 'operator'],
  resource: rules,
  verb: 'list',
  input: z.object({ kind, at }),
  about,
  output: z.object({ documents: z.array(document) }),
});

/** @throws CodedError `not_found` */
export const readResource = operation({
  name: 'resource.read',
  repeatable: true,
  who: ['Admin', 'operator'],
  resource: rules,
  verb: 'readnosecrets',
  asksWhole: true,
  input: z.object({ ...input, at }),
  about,
  output: z.object({ document }),
});

/**
 * All resources of a kind with what is secret in them, as `teleport start --bootstrap` takes them: password
 * hashes, seeds of codes, hashes of tokens, private keys of the authorities. Recorded before they leave. The
 * phrase is `exportPhrase`.
 * @throws CodedError `bad_request` without the phrase, for a kind that is not restored, while an authority is
 *   rotated
 */
export const exportResources = operation({
  name: 'resource.export',
  repeatable: true,
  who: ['Admin'],
  resource: rules,
  verb: 'read',
  input: z.object({ kind, confirmation: z.string().max(300) }),
  about,
  output: z.object({ documents: z.array(document) }),
});

const version = z.object({
  status: z.enum(['created', 'updated', 'deleted', 'unreadable']),
  at: instant,
  /** `user:alice`, `admin`, … */
  actor: z.string(),
  requestId: z.string(),
  position,
  /** Left out for one that was deleted, or that the auth server cannot read. */
  document: document.optional(),
});

/**
 * What a resource was, and by whose request it became that. Also of one that was deleted.
 * @throws CodedError `not_found`, also for what the caller may not read; `bad_request` for a kind without a
 *   history
 */
export const readResourceHistory = operation({
  name: 'resource.history',
  repeatable: true,
  who: ['Admin', 'operator'],
  resource: rules,
  verb: 'readnosecrets',
  input: z.object({ ...input, limit: z.number().int().positive().max(1_000).default(100) }),
  about,
  /**
   * The oldest first. `truncated` when older ones were left out: beyond the limit, too large for a response,
   * or not for this caller to read.
   */
  output: z.object({ versions: z.array(version), truncated: z.boolean() }),
});

const written = z.object({
  status: z.enum(['created', 'updated', 'unchanged']),
  /** Left out where there was none. */
  before: document.optional(),
  after: document,
  /** For whoever writes it: what it leads to. */
  notices: z.array(z.string()).default([]),
  /** Left out where nothing was written. */
  position: position.optional(),
});
const writing = z.object({
  document,
  /** Only say what would be done. */
  dryRun: z.boolean().default(false),
});

/** @throws CodedError `already_exists`; `bad_request` with the place of a fault in the document. */
export const createResource = operation({
  name: 'resource.create',
  who: ['Admin', 'operator'],
  resource: rules,
  verb: 'create',
  asksWhole: true,
  input: writing,
  about: aboutDocument,
  output: written,
});

/**
 * Replaces a resource. A document with a revision only while the resource is still that one.
 * @throws CodedError `not_found`; `conflict` when somebody changed it since; `bad_request`
 */
export const updateResource = operation({
  name: 'resource.update',
  who: ['Admin', 'operator'],
  resource: rules,
  verb: 'update',
  asksWhole: true,
  input: writing,
  about: aboutDocument,
  output: written,
});

/** @throws CodedError `not_found` */
export const deleteResource = operation({
  name: 'resource.delete',
  who: ['Admin', 'operator'],
  resource: rules,
  verb: 'delete',
  asksWhole: true,
  input: z.object({ ...input, dryRun: z.boolean().default(false) }),
  about,
  output: z.object({
    before: document,
    notices: z.array(z.string()).default([]),
    position: position.optional(),
  }),
});
