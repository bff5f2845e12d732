import type { LogSink } from '../../base/log-sink.ts';
import { startTicker, startTimer, stopTimer, type Timer } from '../../base/timers.ts';
import type { Configuration } from '../configuration/configuration.ts';
import type { TeleportProcess } from '../teleport.ts';
import type { Lifecycle } from './lifecycle.ts';

const noLimitMs = Number.MAX_SAFE_INTEGER;

/** Waits until this process is to end, and ends its services so. Resolves when they have ended. */
export async function endDaemon(
  teleport: TeleportProcess,
  lifecycle: Lifecycle,
  deps: {
    configuration: Configuration;
    sink: LogSink;
    /** Whether nobody else serves on our listeners. */
    isAlone: () => boolean;
    stopping: () => Promise<void> | undefined;
  },
): Promise<void> {
  const { configuration, sink, isAlone, stopping } = deps;
  const ending = await lifecycle.ending;
  await stopping();
  if (ending.how === 'at-once') {
    sink.info(`${ending.reason}: stopping`);
    await teleport.stop(0, 'none');
    return;
  }
  if (!ending.succeeded && isAlone())
    await giveNotice(teleport, configuration.drainNoticeMs, { lifecycle, sink });
  sink.info(
    ending.succeeded
      ? `${ending.reason}: another process serves; this one ends when its last client has left`
      : `${ending.reason}: stopping when the last client has left`,
  );
  const { shutdownLimitMs } = configuration;
  const stopped = teleport.stop(
    shutdownLimitMs === 0 ? noLimitMs : shutdownLimitMs,
    ending.succeeded ? 'succeeded' : 'none',
  );
  const reminder = startTicker(() => {
    void teleport.waitsFor().then((clients) => {
      sink.info('this process still serves clients that were connected before', clients);
    });
  }, 10_000);
  reminder.unref();
  // A TERM during a drain ends it at once.
  void lifecycle.atOnce.then(() => teleport.stop(0, ending.succeeded ? 'succeeded' : 'none'));
  await stopped;
  stopTimer(reminder);
  sink.info('the last client has left');
}

/** Balancers learn that this process leaves before it refuses anybody. A TERM ends that at once. */
async function giveNotice(
  teleport: TeleportProcess,
  noticeMs: number,
  { lifecycle, sink }: { readonly lifecycle: Lifecycle; readonly sink: LogSink },
): Promise<void> {
  if (noticeMs === 0) return;
  teleport.leave();
  sink.info(
    '/readyz answers 503 from now on; new connections are accepted until balancers had time to leave',
    {
      seconds: noticeMs / 1000,
    },
  );
  let timer: Timer | undefined;
  await Promise.race([lifecycle.atOnce, new Promise<void>((over) => (timer = startTimer(over, noticeMs)))]);
  stopTimer(timer);
}
