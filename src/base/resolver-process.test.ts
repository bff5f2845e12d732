import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { type NameQuestion, type Resolver, ResolverProcess } from './resolver-process.ts';

interface Fake {
  readonly questions: NameQuestion[];
  readonly killed: () => boolean;
  answer(answer: object): void;
  end(why: string): void;
}

/** Processes that answer what the test says. */
function bench() {
  const begun: Fake[] = [];
  const start = (): Resolver => {
    const [input, output] = [new PassThrough(), new PassThrough()];
    const ended = Promise.withResolvers<string>();
    const questions: NameQuestion[] = [];
    input.on('data', (line: Buffer) =>
      questions.push(
        ...line
          .toString()
          .trimEnd()
          .split('\n')
          .map((one) => JSON.parse(one) as NameQuestion),
      ),
    );
    let killed = false;
    begun.push({
      questions,
      killed: () => killed,
      answer: (answer) => output.write(`${JSON.stringify(answer)}\n`),
      end: (why) => {
        output.end();
        ended.resolve(why);
      },
    });
    return { input, output, ended: ended.promise, kill: () => (killed = true) };
  };
  return { resolver: new ResolverProcess(start), begun };
}
const settle = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
};
const waits = (): AbortSignal => new AbortController().signal;
/** As nobody else handles it before the test does. */
const outcome = (asked: Promise<unknown>): Promise<unknown> => asked.catch((e: unknown) => e);

describe('asking the process that looks up names', () => {
  it('starts one with the first question, and tells apart what is not known and what failed', async () => {
    const { resolver, begun } = bench();
    expect(begun).toHaveLength(0);
    const asked = ['a', 'b', 'c'].map((name) => outcome(resolver.ask(name, waits())));
    await settle();
    expect(begun.map(({ questions }) => questions.map(({ name }) => name))).toEqual([['a', 'b', 'c']]);
    const [a, b, c] = begun[0]?.questions ?? [];
    begun[0]?.answer({ id: c?.id, code: 'EAI_AGAIN' });
    begun[0]?.answer({ id: b?.id, code: 'ENOTFOUND' });
    begun[0]?.answer({ id: a?.id, addresses: ['10.0.0.1'] });
    expect(await Promise.all(asked)).toEqual([
      ['10.0.0.1'],
      expect.objectContaining({ code: 'not_found' }),
      expect.objectContaining({
        code: 'unavailable',
        message: 'the name c cannot be looked up: EAI_AGAIN',
      }),
    ]);
  });
  it('asks another what one left open by its end, three times at most', async () => {
    const { resolver, begun } = bench();
    const asked = outcome(resolver.ask('a', waits()));
    for (let i = 0; i < 3; i++) {
      await settle();
      begun[i]?.end('its process ended (status 1)');
    }
    expect(await asked).toMatchObject({
      code: 'unavailable',
      message: 'the name a cannot be looked up: its process ended (status 1)',
    });
    expect(begun).toHaveLength(3);
  });
  it('replaces one in which four questions are stuck that nobody waits for', async () => {
    const { resolver, begun } = bench();
    const stuck = Array.from({ length: 4 }, () => new AbortController());
    const lost = stuck.map((one, i) => outcome(resolver.ask(`stuck-${i}`, one.signal)));
    const wanted = resolver.ask('wanted', waits());
    await settle();
    for (const one of stuck) one.abort();
    for (const one of await Promise.all(lost)) expect(one).toMatchObject({ code: 'unavailable' });
    await settle();
    expect(begun[0]?.killed()).toBe(true);
    expect(begun[1]?.questions.map(({ name }) => name)).toEqual(['wanted']);
    begun[0]?.end('its process ended (signal 9)'); // the end of the one before is no news
    begun[1]?.answer({ id: begun[1].questions[0]?.id, addresses: ['10.0.0.2'] });
    expect(await wanted).toEqual(['10.0.0.2']);
    expect(begun).toHaveLength(2);
  });
  it('ends it when it is closed, and asks nothing more', async () => {
    const { resolver, begun } = bench();
    const asked = outcome(resolver.ask('a', waits()));
    resolver.close();
    expect(begun[0]?.killed()).toBe(true);
    expect(await asked).toMatchObject({
      message: expect.stringMatching(/this process is ending$/) as string,
    });
    await expect(resolver.ask('b', waits())).rejects.toMatchObject({ code: 'unavailable' });
    expect(begun).toHaveLength(1);
  });
});
