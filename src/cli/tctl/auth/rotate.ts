import {
  type AuthorityRotation,
  readRotations,
  rotateAuthorities,
} from '../../../api/operations/authority.ts';
import type { AuthClient } from '../../../api/client.ts';
import { pause } from '../../../base/backoff.ts';
import type { AuthorityType } from '../../../domain/authority-facts.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { withAuth } from '../connect.ts';
import { rotateRequestOf } from './rotate-options.ts';
import { statusText } from './rotation-text.ts';
import { type RotationCalls, takeStep } from './take-step.ts';

/** `tctl auth rotate` */
export async function rotate(invocation: Invocation, io: CliIo): Promise<number> {
  const request = rotateRequestOf(invocation);
  return withAuth(invocation, io, async (auth) => {
    const calls = callsOf(auth);
    if (request.status === 'step')
      return takeStep(request, { calls, io, pause, monotonic: () => io.world.monotonic() });
    const rotations = await calls.rotations(request.types);
    io.stdout.write(
      request.format === 'json'
        ? `${JSON.stringify(rotations, undefined, 4)}\n`
        : rotations.map(statusText).join('\n'),
    );
    return 0;
  });
}

const callsOf = (auth: AuthClient): RotationCalls => ({
  rotate: (step) => auth.call(rotateAuthorities, step),
  rotations: async (types) => inOrder(types, (await auth.call(readRotations, {})).rotations),
});

const inOrder = (
  types: readonly AuthorityType[],
  rotations: readonly AuthorityRotation[],
): readonly AuthorityRotation[] => rotations.filter(({ type }) => types.includes(type));
