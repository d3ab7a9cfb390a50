/** The states that a list row, a legend or a timeline shows. */
export type StateName = "queued" | "sent" | "live" | "stored" | "anchored" | "final" | "failed" | "reverted";
/** The texts of one language. */
export type Texts = typeof english;
export declare const english: {
    locale: string;
    number: (value: number) => string;
    app: {
        name: string;
        stream: string;
        join: string;
        share: string;
        shared: string;
        theme: {
            dark: string;
            light: string;
        };
        badName: string;
        views: {
            messages: string;
            latency: string;
            anchors: string;
            path: string;
        };
        skip: string;
    };
    connection: {
        connecting: string;
        open: string;
        http: string;
        waiting: string;
        closed: string;
        retryIn: (seconds: number) => string;
        you: (author: string) => string;
    };
    states: {
        queued: string;
        sent: string;
        live: string;
        stored: string;
        anchored: string;
        final: string;
        failed: string;
        reverted: string;
    };
    stateHelp: {
        live: string;
        stored: string;
        anchored: string;
        final: string;
    };
    messages: {
        direct: string;
        tentative: string;
        title: string;
        count: (count: number) => string;
        empty: string;
        emptyHint: string;
        loading: string;
        historyFailed: string;
        older: string;
        fresh: (count: number) => string;
        binary: (bytes: number) => string;
        you: string;
        details: (seq: number) => string;
        verify: string;
        announce: (count: number, latest: string) => string;
        takenBack: string;
    };
    composer: {
        label: string;
        placeholder: string;
        placeholderShort: string;
        send: string;
        burst: string;
        burstHelp: string;
        waiting: (count: number) => string;
        kept: string;
        bytes: (bytes: number, limit: number) => string;
        tooLarge: (bytes: number, limit: number) => string;
        queueFull: string;
        closed: string;
    };
    account: {
        title: string;
        kinds: {
            guest: string;
            page: string;
            wallet: string;
        };
        hint: string;
        wallet: string;
        page: string;
        guest: string;
    };
    newStream: {
        open: string;
        title: string;
        name: string;
        mode: string;
        modes: {
            root: string;
            hash: string;
            payload: string;
        };
        prove: string;
        perMessage: (gas: number, cost: string) => string;
        perAnchor: (gas: number, cost: string) => string;
        asking: string;
        noCosts: string;
        price: (price: string, messages: number, bytes: number) => string;
        owner: string;
        statement: string;
        make: string;
    };
    chainSend: {
        send: string;
        help: string;
        wallet: string;
        local: string;
        none: string;
        wallets: string;
        states: {
            waiting: string;
            "taken-back": string;
        };
        inBlock: {
            "in-block": (block: number) => string;
            final: (block: number) => string;
            reverted: (block: number) => string;
        };
        errors: {
            rejected: string;
            "wrong-chain": string;
            "no-funds": string;
            "no-account": string;
            reverted: string;
        };
        failed: (reason: string) => string;
    };
    latency: {
        title: string;
        accepted: string;
        stored: string;
        received: string;
        receivedHelp: string;
        p50: string;
        p95: string;
        none: string;
        hint: string;
        canvas: string;
        ms: (value: number) => string;
        axis: string[];
    };
    anchors: {
        title: string;
        none: string;
        noneHint: string;
        range: (first: number, last: number) => string;
        block: (block: number) => string;
        tx: string;
        copyTx: string;
        copied: string;
        show: (range: string) => string;
        waiting: (count: number) => string;
    };
    chain: {
        title: string;
        takenBack: (block: number) => string;
    };
    path: {
        title: string;
        relay: string;
        protocol: string;
        local: string;
        remote: string;
        rtt: string;
        traffic: string;
        direct: string;
        setUp: string;
        none: string;
        byHttp: string;
        types: Record<string, string>;
        steps: {
            offer: string;
            http: string;
            answer: string;
            ice: string;
            dtls: string;
            channel: string;
            welcome: string;
        };
        stepFailed: string;
        stepNotReached: string;
        candidates: string;
        candidate: {
            udp: string;
            tcp: string;
            stun: string;
            "turn-udp": string;
            "turn-tcp": string;
            "turn-tls": string;
        };
        candidateOutcome: {
            used: string;
            answered: string;
            allocated: string;
            silent: string;
            refused: string;
            "not-tried": string;
        };
        request: (dns: string, connect: string, wait: string) => string;
        why: string;
        advice: {
            offline: string;
            edge: string;
            "no-relay": string;
            refused: string;
            "no-turn": string;
            "all-blocked": string;
            "turn-refused": string;
            "turn-to-relay": string;
            dtls: string;
            relay: string;
            "no-webrtc": string;
        };
        total: (ms: number) => string;
        tried: string;
        attempt: (time: string) => string;
    };
    system: {
        title: string;
        chain: string;
        head: string;
        contract: string;
        anchorer: string;
        segments: (count: number) => string;
        relays: string;
        relaysAlive: (alive: number, all: number) => string;
        ok: string;
        lag: (blocks: number) => string;
        down: string;
        unknown: string;
    };
    banner: {
        retry: string;
        why: string;
        edge: {
            title: string;
            body: string;
        };
        noRelay: {
            title: string;
            body: string;
        };
        relay: {
            title: string;
            body: string;
        };
        channel: {
            title: string;
            body: string;
        };
        http: {
            title: string;
            cause: {
                network: string;
                noRelay: string;
                noWebrtc: string;
            };
            meaning: string;
            back: string;
        };
        lost: {
            title: string;
            body: string;
        };
        refused: {
            title: string;
            body: (reason: string) => string;
        };
        ended: {
            title: string;
            body: string;
        };
        chainDown: {
            title: string;
            body: string;
        };
        chainLag: {
            title: (blocks: number) => string;
            body: string;
        };
        anchorer: {
            title: string;
            body: (reason: string) => string;
        };
        noPersistence: string;
    };
    error: {
        "too-large": string;
        "queue-full": string;
        malformed: string;
        "edge-unreachable": string;
        refused: string;
        "no-relay": string;
        "relay-unreachable": string;
        "channel-failed": string;
        "no-webrtc": string;
        "no-welcome": string;
        "rate-limited": string;
        "not-allowed": string;
        "session-ended": string;
        closed: string;
        rpc: string;
    };
    details: {
        title: (seq: number) => string;
        close: string;
        state: string;
        time: string;
        author: string;
        payload: string;
        size: (bytes: number) => string;
        intro: string;
        run: string;
        again: string;
        running: string;
        download: string;
        rpc: string;
        rpcHelp: string;
        notYet: string;
        verified: string;
        verifiedProof: string;
        failed: string;
        failedAt: (step: string) => string;
        summary: (first: number, last: number, block: number) => string;
        summaryOffline: string;
        unreachable: string;
        partProof: string;
        partDeployment: string;
        partChain: string;
        steps: {
            "stream-id": string;
            "payload-hash": string;
            leaf: string;
            sibling: string;
            root: string;
            range: string;
            "chain-id": string;
            contract: string;
            transaction: string;
            block: string;
            event: string;
            finality: string;
        };
        values: Record<string, string>;
        ok: string;
        wrong: string;
    };
};
