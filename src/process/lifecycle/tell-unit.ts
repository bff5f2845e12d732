import { messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { World } from '../../base/world.ts';
import type { Inheritance } from './inheritance.ts';
import type { ServiceManager } from './service-manager.ts';
import { type StartWaiting, startWaiting } from './start-waiting.ts';
import { tellHealth } from '../diagnostics/tell-health.ts';
import type { TeleportProcess } from '../teleport.ts';
import type { UnitRole } from './unit-role.ts';

interface Telling {
  readonly unit: UnitRole;
  readonly sink: LogSink;
  readonly world: Pick<World, 'monotonic'>;
}

/**
 * For a start that waits. Undefined without a service manager, or while a predecessor speaks for the unit
 * until this process serves.
 */
export function tellStart(
  deps: Telling & { readonly manager: ServiceManager; readonly inheritance: Inheritance },
): StartWaiting | undefined {
  const { manager, unit, inheritance, world, sink } = deps;
  if (!manager.listens || inheritance.hasPredecessor) return undefined;
  return startWaiting({
    say: (status) => {
      unit.say(status);
    },
    extend: (ms) => void manager.extend(ms),
    monotonic: () => world.monotonic(),
    beReady: (status) => {
      unit.beMain(status).catch((e: unknown) => {
        sink.error(messageOf(e));
      });
    },
  });
}

/** For a process that serves: its further state. */
export const tellUnit = (
  teleport: Pick<TeleportProcess, 'health'>,
  { unit, sink, world }: Telling,
): { close(): void } =>
  tellHealth({
    health: () => teleport.health(),
    sink,
    status: (text) => {
      unit.say(text);
    },
    monotonic: () => world.monotonic(),
  });
