/**
 * Sends replies in the order of the requests, even if they are ready in another order. SSH replies carry no
 * number: only their order shows to which request they belong (RFC 4254, 4 and 5.4).
 */
export class ReplyQueue<T> {
  readonly #send: (answer: T) => void;
  readonly #waiting: { answer: { value: T } | undefined }[] = [];

  constructor(send: (answer: T) => void) {
    this.#send = send;
  }

  /** Requests without a reply. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Reserves a place for one request. Only the first call of the returned function counts. */
  reserve(): (answer: T) => void {
    const place: { answer: { value: T } | undefined } = { answer: undefined };
    this.#waiting.push(place);
    return (value) => {
      if (place.answer !== undefined) return;
      place.answer = { value };
      this.#flush();
    };
  }

  #flush(): void {
    for (let next = this.#waiting[0]; next?.answer !== undefined; next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#send(next.answer.value);
    }
  }
}
