import { mostExpectations, testAccess } from '../../../api/operations/access.ts';
import type { AuthClient } from '../../../api/client.ts';
import type { OutputOf } from '../../../api/operation.ts';
import { CodedError } from '../../../base/errors.ts';
import type { ResourceDocument } from '../../../domain/resources/document.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { withAuth } from '../connect.ts';
import { inputText } from '../resources/input-text.ts';
import { readDocuments } from '../../../process/configuration/read-documents.ts';
import { type Expectation, type PlacedExpectation, readExpectations } from './read-expectations.ts';

type Result = OutputOf<typeof testAccess>['results'][number];

/**
 * `tctl access test [--roles=file] <file>`: a line for each expectation that is not met, and status 1 then.
 */
export async function testExpectations(invocation: Invocation, io: CliIo): Promise<number> {
  const { text, name } = await inputText(invocation.arg('filename'), io);
  const expectations = readExpectations(text, name);
  if (expectations.length === 0) throw new CodedError('bad_request', `${name}: no expectations found`);
  const roles = await rolesIn(invocation.text('roles'), io);
  const results = await withAuth(invocation, io, (auth) => compared(auth, expectations, roles));
  let failed = 0;
  for (const [i, { expectation, place }] of expectations.entries()) {
    const result = results[i];
    if (result?.status === 'met') continue;
    failed++;
    io.stdout.write(
      `${place}: ${said(expectation)}, and that is not so: ${(result?.why ?? []).join('; ')}\n`,
    );
  }
  io.stdout.write(
    failed === 0
      ? `${expectations.length} expectations are met\n`
      : `${failed} of ${expectations.length} expectations are not met\n`,
  );
  return failed === 0 ? 0 : 1;
}

/** The server takes only so many at once. */
async function compared(
  auth: AuthClient,
  expectations: readonly PlacedExpectation[],
  roles: ResourceDocument[],
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (let from = 0; from < expectations.length; from += mostExpectations) {
    const some = expectations.slice(from, from + mostExpectations).map(({ expectation }) => expectation);
    results.push(...(await auth.call(testAccess, { expectations: some, roles })).results);
  }
  return results;
}

/** @throws CodedError `bad_request` with the place of what is no role. */
async function rolesIn(file: string | undefined, io: CliIo): Promise<ResourceDocument[]> {
  if (file === undefined) return [];
  const { text, name } = await inputText(file, io);
  return readDocuments(text, name).map(({ document, place }) => {
    if (document.kind !== 'role')
      throw new CodedError('bad_request', `${place(['kind'])}: only roles are tested, not ${document.kind}`);
    return document;
  });
}

function said({ user, login, node, labels, expect }: Expectation): string {
  const where =
    node ??
    `a node with the labels ${Object.entries(labels ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .join(',')}`;
  return `expected that ${user} may ${expect === 'allow' ? '' : 'not '}enter ${where} as ${login}`;
}
