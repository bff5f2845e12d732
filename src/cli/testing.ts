import type { AuthClient } from '../api/client.ts';
import type { InputOf, Operation, OutputOf } from '../api/operation.ts';
import type { withAuth } from './tctl/connect.ts';

type Answer = (input: unknown) => unknown;

/** An auth server that only has the answers that it was given. Input and answers are as the contract says. */
export class AnsweringAuth {
  /** What it was asked: the operation, and its input with defaults. */
  readonly calls: (readonly [operation: string, input: unknown])[] = [];
  readonly #answers = new Map<string, Answer>();

  on<Op extends Operation>(operation: Op, answer: (input: InputOf<Op>) => OutputOf<Op>): this {
    this.#answers.set(operation.name, answer as Answer);
    return this;
  }

  /** Names of the operations in the order in which they were called. */
  get called(): readonly string[] {
    return this.calls.map(([operation]) => operation);
  }

  readonly client = {
    call: async (operation: Operation, input: unknown) => {
      const taken = await operation.input.parseAsync(input);
      this.calls.push([operation.name, taken]);
      const answer = this.#answers.get(operation.name);
      if (answer === undefined) throw new Error(`${operation.name} has no answer here`);
      return operation.output.parseAsync(answer(taken));
    },
  } as unknown as AuthClient;

  /** In place of `withAuth`: the cluster of another machine. */
  readonly ask: typeof withAuth = (_, __, act) => act(this.client, undefined);
}
