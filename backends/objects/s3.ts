import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { awsRequests } from '../../src/base/aws-requests.ts';
import {
  type ByteRange,
  isObjectName,
  type ListedObject,
  type ObjectStore,
  requireObjectName,
} from '../../src/base/object-store.ts';
import { codedFrom, nameOf } from './s3-errors.ts';

export interface S3Options {
  readonly bucket: string;
  /** Without slashes at its ends; empty: the whole bucket. */
  readonly prefix: string;
  /** Default: from the SDK's chain. Credentials always come from that chain. */
  readonly region: string | undefined;
  /** Of another service than that of AWS: it is called by paths, and signs no checksums of its own. */
  readonly endpoint: string | undefined;
  /** Whether the service is asked to encrypt by a key of its key service. */
  readonly encrypted: boolean;
  /** How long one attempt may be silent; there are five. Default 20,000. */
  readonly attemptTimeoutMs?: number;
}

const attempts = 5;

/**
 * Objects in a bucket of S3, or of a service like it. The bucket has to be there. Nothing is asked before the
 * first call.
 */
export const openS3Objects = (options: S3Options): ObjectStore => new S3Objects(options);

class S3Objects implements ObjectStore {
  readonly #client: S3Client;
  readonly #options: S3Options;
  readonly #folder: string;

  constructor(options: S3Options) {
    const { prefix, region, endpoint, attemptTimeoutMs = 20_000 } = options;
    this.#options = options;
    this.#folder = prefix === '' ? '' : `${prefix}/`;
    this.#client = new S3Client({
      maxAttempts: attempts,
      requestHandler: awsRequests(attemptTimeoutMs),
      ...(region !== undefined && { region }),
      ...(endpoint !== undefined && {
        endpoint,
        forcePathStyle: true,
        requestChecksumCalculation: 'WHEN_REQUIRED',
        responseChecksumValidation: 'WHEN_REQUIRED',
      }),
    });
  }

  get place(): string {
    const { bucket, prefix, endpoint } = this.#options;
    const path = prefix === '' ? bucket : `${bucket}/${prefix}`;
    return `s3://${path}${endpoint === undefined ? '' : ` at ${endpoint}`}`;
  }

  async put(name: string, value: Uint8Array): Promise<void> {
    const { encrypted } = this.#options;
    const command = new PutObjectCommand({
      ...this.#keyOf(name),
      Body: value,
      ...(encrypted && { ServerSideEncryption: 'aws:kms' }),
    });
    await this.#ask(`write ${name}`, () => this.#client.send(command));
  }

  async get(name: string, range?: ByteRange): Promise<Uint8Array | undefined> {
    const part = range && { Range: `bytes=${range.from}-${range.from + range.length - 1}` };
    const key = this.#keyOf(name);
    return this.#ask(`read ${name}`, async () => {
      try {
        const { Body: body } = await this.#client.send(new GetObjectCommand({ ...key, ...part }));
        return (await body?.transformToByteArray()) ?? new Uint8Array(0);
      } catch (e) {
        if (nameOf(e) === 'NoSuchKey') return undefined;
        // Behind its end.
        if (nameOf(e) === 'InvalidRange') return new Uint8Array(0);
        throw e;
      }
    });
  }

  async list(prefix: string): Promise<readonly ListedObject[]> {
    const { bucket: Bucket } = this.#options;
    const found: ListedObject[] = [];
    let after: string | undefined;
    do {
      const command = new ListObjectsV2Command({
        Bucket,
        Prefix: `${this.#folder}${prefix}`,
        ...(after !== undefined && { ContinuationToken: after }),
      });
      const page = await this.#ask('list it', () => this.#client.send(command));
      for (const { Key: key = '', Size: bytes = 0 } of page.Contents ?? []) {
        const name = key.slice(this.#folder.length);
        if (isObjectName(name)) found.push({ name, bytes });
      }
      after = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (after !== undefined);
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async remove(name: string): Promise<void> {
    const command = new DeleteObjectCommand(this.#keyOf(name));
    await this.#ask(`delete ${name}`, () => this.#client.send(command));
  }

  async close(): Promise<void> {
    await Promise.resolve();
    this.#client.destroy();
  }

  #keyOf(name: string): { readonly Bucket: string; readonly Key: string } {
    requireObjectName(name);
    return { Bucket: this.#options.bucket, Key: `${this.#folder}${name}` };
  }

  async #ask<T>(what: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (e) {
      throw codedFrom(e, `${this.place}: cannot ${what}`);
    }
  }
}
