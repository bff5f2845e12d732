import { afterEach, beforeEach, expect } from 'vitest';
import type { Call } from '../../api/server-deps.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import { roleSpec } from '../../domain/role-spec.ts';
import { addRole, adminCall, openTestAuth, type TestAuth, userCall } from '../testing.ts';
import { createResource } from './create-resource.ts';
import { deleteResource } from './delete-resource.ts';
import { listResources } from './list-resources.ts';
import { readResource } from './read-resource.ts';
import { updateResource } from './update-resource.ts';

/** An auth server of each test's own. */
export const bench: { auth: TestAuth } = { auth: undefined as unknown as TestAuth };

/** Makes it before each test of the file that calls this, and closes it afterwards. */
export function benchOfEachTest(): void {
  beforeEach(async () => {
    bench.auth = await openTestAuth({ secondFactor: 'off' });
  });
  afterEach(async () => {
    await bench.auth.close();
    await bench.auth.log.close();
  });
}

export const role = (name: string, spec: object = {}, metadata: object = {}): ResourceDocument => ({
  kind: 'role',
  version: 'v3',
  metadata: { name, ...metadata },
  spec,
});
export const user = (name: string, roles: readonly string[], traits: object = {}): ResourceDocument => ({
  kind: 'user',
  version: 'v2',
  metadata: { name },
  spec: { roles, traits },
});
export const logins = (...names: string[]): object => ({ allow: { logins: names } });
export const written = (
  document: ResourceDocument,
  dryRun = false,
): { readonly document: ResourceDocument; readonly dryRun: boolean } => ({ document, dryRun });
export const create = (
  document: ResourceDocument,
  call: Call = adminCall,
): ReturnType<typeof createResource> => createResource(bench.auth.deps, call, written(document));
export const update = (
  document: ResourceDocument,
  call: Call = adminCall,
): ReturnType<typeof updateResource> => updateResource(bench.auth.deps, call, written(document));
export const read = async (kind: string, name: string, call: Call = adminCall): Promise<ResourceDocument> =>
  (await readResource(bench.auth.deps, call, { kind, name })).document;
export const list = async (kind: string, call: Call = adminCall): Promise<string[]> =>
  (await listResources(bench.auth.deps, call, { kind })).documents.map(({ metadata }) => metadata.name);
export const remove = (
  kind: string,
  name: string,
  call: Call = adminCall,
): ReturnType<typeof deleteResource> => deleteResource(bench.auth.deps, call, { kind, name, dryRun: false });
export const refusal = (
  code: string,
  message: RegExp,
): { readonly code: string; readonly message: string } => ({
  code,
  message: expect.stringMatching(message) as string,
});
export const head = (): Promise<number> => bench.auth.log.state.head();

export interface Rule {
  readonly resources: string[];
  readonly verbs: string[];
  readonly where?: string;
}
/** A person whose only role has these rules. */
export async function personWith(allow: readonly Rule[], name = 'bob', roleName = 'helper'): Promise<Call> {
  const spec = roleSpec.parse({ name: roleName, options: {}, allow: {}, deny: {}, rules: { allow } });
  await addRole(bench.auth, spec);
  await create(user(name, [roleName]));
  return { ...userCall(name, [roleName]), rules: { username: name, roles: [spec], traits: {} } };
}
