import { lookup } from 'node:dns';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { NameAnswer, NameQuestion } from './resolver-process.ts';

/**
 * The other side of `ResolverProcess`: replies to lookups as they finish, in any order. Resolves when there
 * are no more.
 */
export async function answerNames({
  input,
  output,
}: {
  readonly input: Readable;
  readonly output: Writable;
}): Promise<void> {
  const answer = (given: NameAnswer): void => void output.write(`${JSON.stringify(given)}\n`);
  for await (const line of createInterface({ input })) {
    const { id, name } = JSON.parse(line) as NameQuestion;
    lookup(name, { all: true }, (e, found) => {
      if (e === null) answer({ id, addresses: found.map(({ address }) => address) });
      else answer({ id, code: e.code ?? 'EAI_FAIL' });
    });
  }
}
