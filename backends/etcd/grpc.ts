import { createRequire } from 'node:module';

/** What a call carries besides its message. */
export interface Metadata {
  set(key: string, value: string): void;
}

/** The parts of grpc-js that etcd3 has no way to; its own copy, so that the two fit. */
interface Grpc {
  readonly Metadata: new () => Metadata;
  readonly credentials: {
    createSsl(
      root: Buffer | null,
      key: Buffer | null,
      cert: Buffer | null,
      verify: { readonly rejectUnauthorized: boolean; readonly checkServerIdentity?: () => undefined },
    ): unknown;
  };
}

const beside = createRequire(createRequire(import.meta.url).resolve('etcd3'));

export const grpc = beside('@grpc/grpc-js') as Grpc;

/** Of every channel. */
export const channelOptions = (maxMessageBytes: number): Record<string, number> => ({
  'grpc.max_receive_message_length': maxMessageBytes,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  // A peer that comes back is used soon.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
  // etcd is asked directly, whatever http_proxy says: it is a neighbour, and a password must not pass through
  // others.
  'grpc.enable_http_proxy': 0,
  // Neither by the library nor by what a name server hands out is anything sent twice.
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
});
