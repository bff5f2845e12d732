import { CodedError, isCoded } from '../../../base/errors.ts';
import type { CliIo } from '../../cli-io.ts';
import { type Prompter, openPrompter } from '../../prompt.ts';
import type { Run } from '../../program.ts';
import { formatTable } from '../../table.ts';
import { wholeSeconds } from '../../whole-seconds.ts';
import { openCluster } from '../cluster/open-cluster.ts';
import type { BegunDevice } from '../cluster/web-answers.ts';
import type { WebTarget } from '../cluster/web-client.ts';
import { askCredentials, askProxy, refusedProof } from '../login/login.ts';
import { readSettings } from '../settings.ts';
import { beginDevice, setDevice } from './own-requests.ts';

/** `tsh mfa ls`: the code device of whoever is logged in. */
export const listDevicesCommand: Run = async (invocation, io) => {
  const settings = await readSettings(invocation, io);
  const cluster = await openCluster(settings, io);
  try {
    const { ownDevices } = await import('../cluster/cluster-auth.ts');
    const { devices } = await ownDevices(cluster, io);
    if (invocation.text('format') === 'json') io.stdout.write(`${JSON.stringify(devices, undefined, 4)}\n`);
    else if (devices.length === 0) io.stdout.write('No code device\n');
    else
      io.stdout.write(
        formatTable(
          ['Type', 'Added at', 'Last used'],
          devices.map(({ type, addedAt, lastUsedAt }) => [
            type,
            wholeSeconds(addedAt),
            wholeSeconds(lastUsedAt),
          ]),
        ),
      );
    return 0;
  } finally {
    cluster.close();
  }
};

/**
 * `tsh mfa add`: a new code device in place of the one there is. The old one counts until the new one has
 * shown a first code.
 */
export const addDeviceCommand: Run = async (invocation, io) => {
  const settings = await readSettings(invocation, io);
  const { user } = settings;
  const { target, answer } = await askProxy(settings, io);
  if (answer.secondFactor === 'off')
    throw new CodedError('bad_request', 'this cluster asks for no codes (second_factor: off)');
  const prompter = openPrompter(io);
  try {
    const claim = { user, ...(await askCredentials(prompter, user, answer)) };
    const begun = await beginDevice(target, claim).catch((e: unknown) => {
      throw refusedProof(e, user, target.address, answer);
    });
    await show(io, user, begun);
    await prove(target, begun, prompter, io);
  } finally {
    prompter.close();
  }
  io.stdout.write(
    `The code device of user ${user} has been replaced: codes of the old one no longer count.\n`,
  );
  return 0;
};

async function show(io: CliIo, user: string, { otpUrl, secret, expiresAt }: BegunDevice): Promise<void> {
  const { qrText } = await import('./qr-text.ts');
  const lines = [
    `Scan this with the new device of user ${user}, or type the secret, before ${wholeSeconds(expiresAt)}.`,
    'The old device counts until the new one has shown a code.',
    '',
    qrText(otpUrl),
    `Secret: ${secret}`,
    `URL:    ${otpUrl}`,
  ];
  io.stdout.write(`${lines.join('\n')}\n`);
}

/** Mistyping is no reason to scan again. */
const attempts = 3;

async function prove(
  target: WebTarget,
  { token }: BegunDevice,
  prompter: Prompter,
  io: CliIo,
): Promise<void> {
  for (let left = attempts; ; left--) {
    const code = (await prompter.hidden('Enter a code of the new device:')).trim();
    try {
      await setDevice(target, token, code);
      return;
    } catch (e) {
      const isMisfit = isCoded(e, 'access_denied') && e.message.startsWith('the one-time code');
      if (!isMisfit || left <= 1 || !prompter.interactive) throw e;
      io.stderr.write(`${e.message}\n`);
    }
  }
}
